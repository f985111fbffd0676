// Reading, forking, saving and restoring in a worker: as a local session does.
import { afterEach, expect, it } from "vitest";
import type { GenerateEvent, ReadEvent } from "../../../src/types.ts";
import { requireGolden } from "../../support/golden.ts";
import { answer } from "../../support/sessions.ts";
import { openToy } from "../../support/toys.ts";
import { createRig } from "./rig.ts";

const rig = createRig();
const toyPath = requireGolden("toys/toy-llama.gguf");
const pressed = { method: "knorm", budget: { tokens: 20 } } as const;
const text = "One lamp burned. Two ships came in. ".repeat(4);
const options = { maxTokens: 12, logprobs: 1, ignoreEos: true } as const;

afterEach(() => expect(rig.nAlive()).toBe(0));

async function tokensOf(stream: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of stream) if (event.type === "token") events.push(event);
  return events;
}

it("a read document, its forks and its file answer as a local session does", async () => {
  const local = await openToy("toy-llama", { engine: "wasm", activations: "q8" });
  const own = local.session(pressed);
  const ownEvents: ReadEvent[] = [];
  await own.read(text, { onProgress: (event) => void ownEvents.push(event) });
  const file = new Uint8Array(await (await own.save()).arrayBuffer());
  const expected = (await answer(own.fork(), "Who?", options)).tokens;

  const model = await rig.loadInWorker(toyPath, { threads: 1 });
  const session = await model.session(pressed);
  const events: ReadEvent[] = [];
  const usage = await session.read(text, { onProgress: (event) => void events.push(event) });
  expect(events).toEqual(ownEvents);
  expect(usage.position).toBe(own.usage().position);
  const saved = await session.save();
  expect(new Uint8Array(await saved.arrayBuffer())).toEqual(file);
  const fork = await session.fork();
  expect(await tokensOf(fork.generate("Who?", options))).toEqual(expected);
  for (const snapshot of [saved, await saved.arrayBuffer(), file]) {
    const restored = await model.restore(snapshot);
    expect(await tokensOf(restored.generate("Who?", options))).toEqual(expected);
    await restored.dispose();
  }
  await model.dispose();
  local.dispose();
});

it("errors and aborts come back as such", async () => {
  const model = await rig.loadInWorker(toyPath, { threads: 1 });
  await expect(model.restore(new Uint8Array(100))).rejects.toMatchObject({ code: "bad-snapshot" });
  await expect(model.restore(new Uint8Array(0), { methods: [] })).rejects.toMatchObject({
    code: "unsupported-option",
  });
  const session = await model.session(pressed);
  const reading = session.read(text, { signal: AbortSignal.abort("enough") });
  await expect(reading).rejects.toMatchObject({ code: "aborted", cause: "enough" });
  expect((await session.usage()).position).toBe(0);
  const aware = await model.session({ method: "snapkv", budget: { keep: 0.5 } });
  await expect(aware.read(text)).rejects.toMatchObject({ code: "unsupported-option" });
  await model.dispose();
});

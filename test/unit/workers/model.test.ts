// A model in a worker does what a local one does, and says so in the same words.
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import type { GenerateEvent, LoadProgress } from "../../../src/types.ts";
import type { WorkerModel } from "../../../workers/session-api.ts";
import { requireGolden } from "../../support/golden.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, toyBytes, toyGolden, TOYS, WASM_F32 } from "../../support/toys.ts";
import { createRig } from "./rig.ts";

const rig = createRig();
const toyPath = requireGolden("toys/toy-llama.gguf");
const snapkv = { method: { name: "snapkv", windowSize: 8 }, budget: { tokens: 20 } } as const;
const prompt = "One lamp burned. Two ships came in. ".repeat(4);

afterEach(() => expect(rig.nAlive()).toBe(0));

/** Less the clock's part. */
function withoutTimes(events: readonly GenerateEvent[]): unknown[] {
  return events.map((event) =>
    event.type === "done" ? { ...event, usage: { ...event.usage, timing: null } } : event,
  );
}

async function collect(stream: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function withModel(act: (model: WorkerModel) => Promise<void>): Promise<void> {
  const model = await rig.loadInWorker(toyPath, { threads: 1 });
  try {
    await act(model);
  } finally {
    await model.dispose();
  }
}

describe("loadInWorker", () => {
  it.each(TOYS)("answers with the golden tokens of %s", async (toy) => {
    const { ids, greedy } = toyGolden(toy);
    const model = await rig.loadInWorker(toyBytes(toy), WASM_F32);
    const session = await model.session();
    const maxTokens = greedy.tokens.length;
    const events = await collect(session.generate({ tokens: ids }, { maxTokens, ignoreEos: true }));
    const tokens = events.flatMap((event) => (event.type === "token" ? [event.token] : []));
    expect(tokens).toEqual(greedy.tokens);
    await model.dispose();
  });

  it("yields the events of a local session, compression and logprobs included", async () => {
    const local = await openToy("toy-llama", { engine: "wasm", activations: "q8" });
    const options = { maxTokens: 60, temperature: 0.8, seed: 7, logprobs: 2, ignoreEos: true };
    const expected = (await answer(local.session(snapkv), prompt, options)).events;
    local.dispose();
    await withModel(async (model) => {
      const session = await model.session(snapkv);
      const events = await collect(session.generate(prompt, options));
      expect(withoutTimes(events)).toEqual(withoutTimes(expected));
      expect(events.some(({ type }) => type === "compressed")).toBe(true);
    });
  });

  it("has the local model's data, tokenizer and usage", async () => {
    const local = await openToy("toy-llama", { engine: "wasm", activations: "q8" });
    const { tokenizer } = local;
    await withModel(async (model) => {
      expect(model.config).toEqual(local.config);
      expect(model.engine).toEqual(local.engine);
      expect(model.chatTemplate).toBe(null);
      expect(model.tokenizer).toMatchObject({
        hash: tokenizer.hash,
        stopTokens: tokenizer.stopTokens,
        eosToken: tokenizer.eosToken,
      });
      const ids = await model.tokenizer.encode(prompt, { addBos: true });
      expect(ids).toEqual(tokenizer.encode(prompt, { addBos: true }));
      expect(await model.tokenizer.decode(ids)).toBe(tokenizer.decode(ids));
      expect(await model.tokenizer.piece(ids[3] ?? 0)).toBe(tokenizer.piece(ids[3] ?? 0));
      const decoder = await model.tokenizer.decodeStream();
      let text = "";
      for (const id of ids) text += await decoder.push(id);
      expect(text + (await decoder.end())).toBe(tokenizer.decode(ids));

      const [session, own] = [await model.session(snapkv), local.session(snapkv)];
      await collect(session.generate(prompt, { maxTokens: 4 }));
      await answer(own, prompt, { maxTokens: 4 });
      const { timing: _, ...usage } = await session.usage();
      expect(own.usage()).toMatchObject(usage);
      await session.reset();
      expect((await session.usage()).position).toBe(0);
    });
    local.dispose();
  });

  it("takes a Blob, an ArrayBuffer and a byte source, which stays in the page", async () => {
    const bytes = toyBytes("toy-qwen2") as Uint8Array<ArrayBuffer>;
    const source = new BufferSource(bytes, "mine");
    for (const from of [new Blob([bytes]), bytes.slice().buffer, source]) {
      const model = await rig.loadInWorker(from);
      expect(model.config.architecture).toBe("qwen2");
      await model.dispose();
    }
  });

  it("reports progress", async () => {
    const steps: LoadProgress[] = [];
    const model = await rig.loadInWorker(toyPath, { onProgress: (step) => steps.push(step) });
    const last = steps.at(-1);
    expect(last?.phase).toBe("load");
    expect(last?.bytes).toBe(last?.totalBytes);
    await model.dispose();
  });
});

describe("errors", () => {
  it("keep class, code, message and cause", async () => {
    const failure: unknown = await rig
      .loadInWorker("nothing.gguf")
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KvasirError);
    expect(failure).toMatchObject({
      code: "not-found",
      name: "KvasirError",
      message: expect.stringMatching(/^Cannot open "nothing.gguf"/),
      cause: expect.objectContaining({ message: expect.stringContaining("ENOENT") }),
    });
    await expect(rig.loadInWorker(new Uint8Array(100))).rejects.toMatchObject({ code: "bad-gguf" });
  });

  it("of options leave the session usable", async () => {
    await withModel(async (model) => {
      await expect(model.session({ method: "snapkv" })).rejects.toBeInstanceOf(KvasirError);
      const session = await model.session();
      const wrong = session.generate("x", { maxTokens: 0 });
      await expect(wrong.next()).rejects.toMatchObject({ code: "bad-option" });
      expect((await collect(session.generate("x", { maxTokens: 2 }))).at(-1)?.type).toBe("done");
    });
  });

  it("refuse functions with what to do in their place", async () => {
    await withModel(async (model) => {
      const own = { id: "mine", version: 1, parameters: {}, create: () => ({}) as never };
      const making = model.session({ method: own });
      await expect(making).rejects.toMatchObject({
        code: "unsupported-option",
        message: expect.stringContaining('"mine"'),
      });
      const odd = model.session({ method: { name: "snapkv", windowSize: () => 8 } });
      await expect(odd).rejects.toMatchObject({ code: "unsupported-option" });
    });
  });

  it("say disposed after dispose, which may be called twice", async () => {
    const model = await rig.loadInWorker(toyPath);
    const session = await model.session();
    await session.dispose();
    await session.dispose();
    await expect(session.usage()).rejects.toMatchObject({ code: "disposed" });
    await expect(session.generate("x").next()).rejects.toMatchObject({ code: "disposed" });
    await model.dispose();
    await model.dispose();
    await expect(model.session()).rejects.toMatchObject({ code: "disposed" });
  });
});

describe("methods of one's own", () => {
  let folder = "";
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("are opened from their module, with parameters", async () => {
    folder = await mkdtemp(join(tmpdir(), "kvasir-method-"));
    const source = pathToFileURL("src/index.ts").href;
    const path = join(folder, "mine.mjs");
    const code = `
      import { compose, defineMethod, integer, tokenTopK } from ${JSON.stringify(source)};
      export const mine = defineMethod({
        id: "first-rows",
        parameters: { nRecent: integer({ default: 2, min: 1, max: 64 }) },
        create: ({ nRecent }) => compose({
          scorer: { needs: { prefill: [], decode: [] }, score: ({ rows }) => ({
            perHead: [Float32Array.from(rows.positions[0], (position) => -position)],
            nSink: 0, nRecent }) },
          selector: tokenTopK,
        }),
      });`;
    await writeFile(path, code);
    const model = await rig.loadInWorker(toyPath, { methods: [pathToFileURL(path)] });
    const session = await model.session({
      method: { name: "first-rows", nRecent: 6 },
      budget: { tokens: 16 },
    });
    await collect(session.generate(prompt, { maxTokens: 1 }));
    const { cache } = await session.usage();
    expect(Math.max(...cache.perLayer.flatMap(({ rows }) => rows))).toBeLessThanOrEqual(17);
    const wrong = model.session({
      method: { name: "first-rows", nRecent: 99 },
      budget: { tokens: 16 },
    });
    await expect(wrong).rejects.toMatchObject({ code: "bad-option" });
    await model.dispose();
    const missing = rig.loadInWorker(toyPath, { methods: ["file:///nothing.mjs"] });
    await expect(missing).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("createWorkerSession", () => {
  it("frees the model with the session", async () => {
    const session = await rig.createWorkerSession(toyPath, { session: snapkv });
    const events = await collect(session.generate(prompt, { maxTokens: 4 }));
    expect(events.at(-1)?.type).toBe("done");
    await session.dispose();
    await expect(session.usage()).rejects.toMatchObject({ code: "disposed" });
    const wrong = rig.createWorkerSession(toyPath, { session: { method: "nothing" } });
    await expect(wrong).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("memory", () => {
  it("is back where it was after 200 sessions, half of them left in mid-answer", async () => {
    await withModel(async (model) => {
      const use = async (n: number): Promise<void> => {
        const session = await model.session(snapkv);
        const events = session.generate(prompt, { maxTokens: 8, ignoreEos: true });
        for (let i = 0; i < 4; i++) await events.next();
        if (n % 2 === 0) await events.return(undefined);
        await session.dispose();
      };
      await use(0);
      await use(1);
      const before = await model.memory();
      for (let n = 0; n < 200; n++) await use(n);
      const after = await model.memory();
      expect(after.bytes).toBe(before.bytes);
      expect(after.reservedBytes).toBe(before.reservedBytes);
    });
  });
});

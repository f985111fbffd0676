// Reading the next layer while rows of one are chosen: the same rows, the same text, one more layer's
// rows at the peak.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { SessionOptions } from "../../../src/types.ts";
import { chatSession, collect } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

/** The engine says that its ops run later; they give the same. */
function setDeferred(isDeferred: boolean): void {
  Object.defineProperty(model.parts.transformer.engine, "isDeferred", { value: isDeferred });
}

const LENGTHS = [60, 25, 40];

async function run(options: SessionOptions, isDeferred: boolean) {
  setDeferred(isDeferred);
  const session = chatSession(model, { stopTokens: [], session: options });
  const answers = [];
  for (const length of LENGTHS) {
    const input = { tokens: ids.slice(0, length) };
    const { events } = await collect(
      session.generate(input, {
        maxTokens: 6,
        ignoreEos: true,
        logprobs: 2,
      }),
    );
    const { perLayer, keptRows, peakBytes } = session.usage().cache;
    const tokens = events.filter((event) => event.type === "token");
    answers.push({ tokens, rows: perLayer.map(({ rows }) => rows), keptRows, peakBytes });
  }
  const { compression } = session.usage();
  session.dispose();
  setDeferred(false);
  return {
    answers: answers.map(({ peakBytes: _, ...rest }) => rest),
    compression,
    peak: answers[0]?.peakBytes ?? 0,
  };
}

const SESSIONS: readonly SessionOptions[] = [
  {
    chunkSize: 8,
    method: { name: "snapkv", windowSize: 4 },
    budget: { tokens: 12 },
    turnPolicy: "each",
  },
  { chunkSize: 16, method: "h2o", budget: { tokens: 20 }, turnPolicy: "each" },
  { method: "keydiff", budget: { keep: 0.3 } },
  { method: "expected-attention", budget: { keep: 0.4 } },
  { method: "critical-adakv", budget: { keep: 0.4 } },
  { method: { name: "shotkv", across: "model" }, budget: { keep: 0.5 } },
];

describe.each(SESSIONS)("$method, $budget", (options) => {
  test("keeps the same rows and gives the same log-probabilities", async () => {
    const expected = await run(options, false);
    const overlapped = await run(options, true);
    expect(overlapped.answers).toEqual(expected.answers);
    expect(overlapped.compression).toEqual(expected.compression);
    const isStaged = typeof options.method === "string" || !("across" in (options.method ?? {}));
    expect(overlapped.peak > expected.peak, "a second layer is held").toBe(isStaged);
  });
});

test("what needs rows alone is measured as soon as they are there, before the layer's attention", async () => {
  const { engine } = model.parts.transformer;
  const orderOf = async (method: string): Promise<string> => {
    const calls: string[] = [];
    const spies = (["attend", "measureWindow", "measureQueries"] as const).map((name) => {
      const real = engine[name].bind(engine) as (...args: unknown[]) => void;
      return vi.spyOn(engine, name).mockImplementation((...args: unknown[]) => {
        calls.push(name);
        real(...args);
      });
    });
    await run({ method, budget: { keep: 0.4 } }, true);
    for (const spy of spies) spy.mockRestore();
    return calls.slice(0, 2).join();
  };
  expect(await orderOf("snapkv")).toBe("measureWindow,attend");
  expect(await orderOf("expected-attention")).toBe("attend,measureQueries");
});

test("bytes that are promised hold: nothing overlaps", async () => {
  const options: SessionOptions = { method: "snapkv", budget: { bytes: 60_000 }, headroom: 8 };
  const [expected, overlapped] = [await run(options, false), await run(options, true)];
  expect(overlapped.peak).toBe(expected.peak);
  expect(overlapped.peak).toBeLessThanOrEqual(60_000);
});

test("a prompt that is aborted in between leaves nothing behind", async () => {
  const options: SessionOptions = { chunkSize: 8, method: "h2o", budget: { tokens: 30 } };
  const { answers } = await run(options, false);
  setDeferred(true);
  const session = chatSession(model, { stopTokens: [], session: options });
  const input = { tokens: ids.slice(0, LENGTHS[0]) };
  const controller = new AbortController();
  const aborted = await collect(session.generate(input, { signal: controller.signal }), (_, n) => {
    if (n === 10) controller.abort(); // in the second layer
  });
  expect(aborted.error).toMatchObject({ code: "aborted" });
  expect(session.usage().cache).toMatchObject({ bytes: 0, keptRows: 0 });
  const { events } = await collect(
    session.generate(input, { maxTokens: 6, ignoreEos: true, logprobs: 2 }),
  );
  session.dispose();
  setDeferred(false);
  expect(events.filter((event) => event.type === "token")).toEqual(answers[0]?.tokens);
});

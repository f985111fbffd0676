// Every option out of its range is refused by name.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { GenerateInput, GenerateOptions, SessionOptions } from "../../../src/types.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

const snap = { method: "snapkv" } as const;
const SESSION: readonly (readonly [name: string, options: object])[] = [
  ["codec", { codec: "q4" }],
  ["flow", { flow: "loose" }],
  ...[0, -1, 1.5, 4097, NaN, "8"].map((chunkSize) => ["chunkSize", { chunkSize }] as const),
  ...[0, -1, 1.5, 2 ** 20 + 1, NaN].map((headroom) => ["headroom", { headroom }] as const),
  ["budget", { ...snap }],
  ["budget", { ...snap, budget: {} }],
  ["budget", { ...snap, budget: { tokens: 100, keep: 0.5 } }],
  ["budget", { ...snap, budget: { rows: 100 } }],
  ["budget.tokens", { ...snap, budget: { tokens: 0 } }],
  ["budget.tokens", { ...snap, budget: { tokens: 99.5 } }],
  ["budget.keep", { ...snap, budget: { keep: 0 } }],
  ["budget.keep", { ...snap, budget: { keep: 1.1 } }],
  ["budget.keep", { ...snap, budget: { keep: NaN } }],
  ["budget.bytes", { ...snap, budget: { bytes: 0 } }],
  ["windowSize", { method: { name: "snapkv", windowSize: 0 }, budget: { keep: 0.5 } }],
  ["sinks", { method: { name: "streaming-llm", sinks: 4 }, budget: { keep: 0.5 } }],
];

test.each(SESSION)("session: %s in %j", (name, options) => {
  const { bytes } = model.memory();
  expect(() => model.session(options as SessionOptions)).toThrow(
    expect.objectContaining({
      code: "bad-option",
      message: expect.stringContaining(name) as unknown,
    }) as Error,
  );
  expect(model.memory().bytes).toBe(bytes);
});

test("session: a codec that the engine has not: unsupported-option, and what it has", () => {
  const { engine } = model.parts.transformer;
  const { codecs } = engine;
  Object.defineProperty(engine, "codecs", { value: ["f32", "f16"], configurable: true });
  expect(() => model.session({ codec: "q8" })).toThrow(
    expect.objectContaining({
      code: "unsupported-option",
      message: expect.stringMatching(/"wasm" stores rows as f32 or f16, got codec "q8"/) as unknown,
    }) as Error,
  );
  Object.defineProperty(engine, "codecs", { value: codecs, configurable: true });
  model.session({ codec: "q8" }).dispose();
});

test("session: a budget for full excludes itself: unsupported-option", () => {
  expect(() => model.session({ budget: { keep: 0.5 } })).toThrow(
    expect.objectContaining({
      code: "unsupported-option",
      message: expect.stringContaining("budget") as unknown,
    }) as Error,
  );
});

test("session: an unknown method is not-found and lists the known ones", () => {
  expect(() => model.session({ method: "snapvk" })).toThrow(
    expect.objectContaining({
      code: "not-found",
      message: expect.stringMatching(/snapkv.*snapvk/) as unknown,
    }) as Error,
  );
});

const GENERATE: readonly (readonly [name: string, options: object])[] = [
  ...[0, -1, 1.5, 2 ** 31, NaN, "5"].map((maxTokens) => ["maxTokens", { maxTokens }] as const),
  ...[-1, 257, 0.5].map((logprobs) => ["logprobs", { logprobs }] as const),
  ["stop", { stop: "" }],
  ["stop", { stop: ["a", ""] }],
  ["stop", { stop: 5 }],
  ["stop", { stop: [5] }],
  ...[-1, 101, NaN].map((temperature) => ["temperature", { temperature }] as const),
  ...[-1, 1.5].map((topK) => ["topK", { topK }] as const),
  ...[-0.1, 1.1].map((topP) => ["topP", { topP }] as const),
  ...[-0.1, 1.1].map((minP) => ["minP", { minP }] as const),
  ...[0, -1, 101].map((value) => ["repetitionPenalty", { repetitionPenalty: value }] as const),
  ...[-3, 3].map((value) => ["frequencyPenalty", { frequencyPenalty: value }] as const),
  ...[-3, 3].map((value) => ["presencePenalty", { presencePenalty: value }] as const),
  ...[-1, 0.5, NaN].map((seed) => ["seed", { seed }] as const),
];

describe("generate refuses at once, and the session goes on", () => {
  test.each(GENERATE)("%s in %j", async (name, options) => {
    const session = model.session();
    expect(() => session.generate("a", options as GenerateOptions)).toThrow(
      expect.objectContaining({
        code: "bad-option",
        message: expect.stringContaining(name) as unknown,
      }) as Error,
    );
    const { ids } = await answer(session, { tokens: toyGolden("toy-llama").ids }, { maxTokens: 1 });
    expect(ids).toEqual(toyGolden("toy-llama").greedy.tokens.slice(0, 1));
    session.dispose();
  });
});

const INPUTS: readonly (readonly [what: string, input: unknown, code: string])[] = [
  ["no text", "", "bad-option"],
  ["no tokens", { tokens: [] }, "bad-option"],
  ["a token past the vocabulary", { tokens: [1, 512] }, "bad-option"],
  ["a negative token", { tokens: [-1] }, "bad-option"],
  ["half a token", { tokens: [1.5] }, "bad-option"],
  ["messages without a template", [{ role: "user", content: "a" }], "unsupported-option"],
];

test.each(INPUTS)("input: %s is %s", async (_, input, code) => {
  const session = model.session();
  await expect(answer(session, input as GenerateInput)).rejects.toMatchObject({ code });
  await answer(session, "a", { maxTokens: 1 });
  session.dispose();
});

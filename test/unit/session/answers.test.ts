// What a session's stream says, on a toy in f32.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { Yielder } from "../../../src/timing/yielder.ts";
import { answer, chatParts } from "../../support/sessions.ts";
import { LocalSession } from "../../../src/session.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const golden = toyGolden("toy-llama");
const input = { tokens: golden.ids };
let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

describe("the stream", () => {
  test("prefill events, then tokens, then done; no other order", async () => {
    const session = model.session({ chunkSize: 16 });
    const { events } = await answer(session, input, { maxTokens: 5 });
    const types = events.map(({ type }) => type);
    const nSteps = model.config.nLayers * Math.ceil(golden.ids.length / 16);
    expect(types).toEqual([
      ...new Array<string>(nSteps).fill("prefill"),
      ...new Array<string>(5).fill("token"),
      "done",
    ]);
    session.dispose();
  });

  test("prefill rises to its total", async () => {
    const session = model.session({ chunkSize: 7 });
    const { events } = await answer(session, input, { maxTokens: 1 });
    const steps = events.filter((event) => event.type === "prefill");
    const total = golden.ids.length * model.config.nLayers;
    expect(steps.every((step) => step.total === total)).toBe(true);
    expect(steps.every((step, i) => step.done > (steps[i - 1]?.done ?? 0))).toBe(true);
    expect(steps.at(-1)?.done).toBe(total);
    session.dispose();
  });

  test("a compressed prompt says so between prefill and the first token", async () => {
    const session = model.session({ method: "streaming-llm", budget: { tokens: 16 } });
    const { events } = await answer(session, input, { maxTokens: 2 });
    const types = events.map(({ type }) => type).filter((type) => type !== "prefill");
    expect(types).toEqual(["compressed", "token", "token", "done"]);
    session.dispose();
  });

  test("greedy tokens are the golden's", async () => {
    const session = model.session();
    const { ids, done } = await answer(session, input, { maxTokens: golden.greedy.tokens.length });
    expect(ids).toEqual(golden.greedy.tokens);
    expect(done.reason).toBe("length");
    session.dispose();
  });

  test("pieces joined are the text of done and of the tokenizer", async () => {
    const session = model.session();
    const options = { maxTokens: 40, temperature: 3, seed: 5, ignoreEos: true };
    const { ids, pieces, done } = await answer(session, input, options);
    expect(pieces).toBe(done.text);
    expect(pieces).toBe(model.tokenizer.decode(ids, { keepSpecial: false }));
    session.dispose();
  });

  test("usage counts tokens, positions and rows", async () => {
    const session = model.session();
    const { done } = await answer(session, input, { maxTokens: 4 });
    const nRead = golden.ids.length + 3; // the last token is shown and not read
    expect(done.usage.tokens).toEqual({ prompt: 60, completion: 4 });
    expect(done.usage.position).toBe(nRead);
    expect(done.usage.cache.fullRows).toBe(nRead * model.config.nLayers * model.config.nKvHeads);
    expect(done.usage.cache.keptRows).toBe(done.usage.cache.fullRows);
    expect(done.usage.timing.prefillTokensPerSecond).toBeGreaterThan(0);
    expect(done.usage.timing.timeToFirstTokenMs).toBeGreaterThanOrEqual(
      done.usage.timing.prefillMs,
    );
    session.dispose();
  });
});

describe("where an answer ends", () => {
  test.each([1, 2, 7])("maxTokens %i", async (maxTokens) => {
    const session = model.session();
    const { ids, done } = await answer(session, input, { maxTokens });
    expect(ids).toEqual(golden.greedy.tokens.slice(0, maxTokens));
    expect(done.reason).toBe("length");
    session.dispose();
  });

  test("a stop text is cut off, and nothing of it was shown", async () => {
    const session = model.session();
    const { done: whole } = await answer(session, input, { maxTokens: 12 });
    const stop = whole.text.slice(5, 8);
    session.reset();
    const { done, pieces } = await answer(session, input, { maxTokens: 12, stop: ["never", stop] });
    expect(done.reason).toBe("stop");
    expect(done.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
    expect(pieces).toBe(done.text);
    session.dispose();
  });

  test("what may become a stop text is held back, and shown when it does not", async () => {
    const session = model.session();
    const { done: whole } = await answer(session, input, { maxTokens: 6 });
    session.reset();
    const stop = `${whole.text.at(-1) ?? ""}#never`;
    const { done, pieces } = await answer(session, input, { maxTokens: 6, stop });
    expect(done.reason).toBe("length");
    expect(done.text).toBe(whole.text);
    expect(pieces).toBe(whole.text);
    session.dispose();
  });

  const stopTokens = [golden.greedy.tokens[3] as number];
  const nBefore = golden.greedy.tokens.indexOf(stopTokens[0] as number);

  test("a stop token ends it and leaves no text", async () => {
    const session = new LocalSession(chatParts(model, { stopTokens }), {});
    const { done } = await answer(session, input, { maxTokens: 12 });
    expect(done.reason).toBe("stop");
    expect(done.text).toBe(model.tokenizer.decode(golden.greedy.tokens.slice(0, nBefore)));
    expect(done.usage.tokens.completion).toBe(nBefore);
    expect(done.usage.position).toBe(golden.ids.length + nBefore);
    session.dispose();
  });

  test("ignoreEos goes on", async () => {
    const session = new LocalSession(chatParts(model, { stopTokens }), {});
    const { ids, done } = await answer(session, input, { maxTokens: 12, ignoreEos: true });
    expect(ids).toEqual(golden.greedy.tokens.slice(0, 12));
    expect(done.reason).toBe("length");
    session.dispose();
  });

  test("the context's end, with reason length; after it cache-full with both numbers", async () => {
    const session = model.session();
    const { contextLength } = model.config;
    const tokens = Array.from({ length: contextLength - 7 }, (_, i) => (i * 37) % 500);
    const { ids, done } = await answer(session, { tokens }, { maxTokens: 100, ignoreEos: true });
    expect(done.reason).toBe("length");
    expect(ids.length).toBe(8);
    expect(done.usage.position).toBe(contextLength);
    await expect(answer(session, { tokens: [1] })).rejects.toMatchObject({
      code: "cache-full",
      message: expect.stringMatching(/512.*got 2 after the 512/) as unknown,
    });
    session.dispose();
  });

  test("a prompt longer than the context: cache-full with both numbers", async () => {
    const session = model.session();
    const tokens = new Uint32Array(513);
    await expect(answer(session, { tokens })).rejects.toMatchObject({
      code: "cache-full",
      message: expect.stringMatching(/at most 512 tokens, got 513/) as unknown,
    });
    expect((await answer(session, input, { maxTokens: 2 })).ids).toEqual(
      golden.greedy.tokens.slice(0, 2),
    );
    session.dispose();
  });
});

describe("sampling", () => {
  const options = { temperature: 1.5, maxTokens: 16, ignoreEos: true };
  const sample = async (seed: number) => {
    const session = model.session();
    const { ids } = await answer(session, input, { ...options, seed });
    session.dispose();
    return ids;
  };

  test("a seed gives its answer again, another seed another one", async () => {
    const first = await sample(7);
    expect(await sample(7)).toEqual(first);
    expect(await sample(8)).not.toEqual(first);
    expect(first).not.toEqual(golden.greedy.tokens);
  });

  test("logprobs: the token's own is that of the list, the list falls", async () => {
    const session = model.session();
    const { tokens } = await answer(session, input, { maxTokens: 4, logprobs: 3 });
    for (const { token, logprob, topLogprobs } of tokens) {
      expect(topLogprobs).toHaveLength(3);
      const top = topLogprobs ?? [];
      expect(top[0]).toMatchObject({ token, logprob, text: model.tokenizer.piece(token) });
      expect(top.every((one, i) => i === 0 || one.logprob <= (top[i - 1]?.logprob ?? 0))).toBe(
        true,
      );
    }
    // From the golden's logits of the last position.
    const row = golden.logits.subarray(59 * model.config.vocabSize);
    const logSum = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
    const expected = (row[tokens[0]?.token ?? 0] ?? 0) - logSum;
    expect(tokens[0]?.logprob).toBeCloseTo(expected, 4);
    session.dispose();
  });

  test("logprobs 0 reports no alternatives, and asking for them changes no token", async () => {
    const session = model.session();
    const { tokens, ids } = await answer(session, input, { maxTokens: 4, logprobs: 0 });
    expect(ids).toEqual(golden.greedy.tokens.slice(0, 4));
    expect(tokens.every(({ topLogprobs }) => topLogprobs?.length === 0)).toBe(true);
    session.dispose();
  });

  test("penalties look at the last 64 tokens that were read, in however many turns", async () => {
    const strong = { frequencyPenalty: 2, presencePenalty: 2, maxTokens: 60, ignoreEos: true };
    const tokens = Array.from({ length: 160 }, (_, i) => (i * 7) % 500);
    const [turns, whole] = [model.session(), model.session()];
    const { ids: first } = await answer(turns, { tokens: tokens.slice(0, 80) }, { maxTokens: 1 });
    const { ids } = await answer(turns, { tokens: tokens.slice(80) }, strong);
    const together = [...tokens.slice(0, 80), ...first, ...tokens.slice(80)];
    expect((await answer(whole, { tokens: together }, strong)).ids).toEqual(ids);
    turns.dispose();
    whole.dispose();
  });
});

test("Yielder lets timers through while it is asked in a tight loop", async () => {
  let hasFired = false;
  setTimeout(() => (hasFired = true));
  const yielder = new Yielder();
  const end = performance.now() + 2000;
  while (!hasFired && performance.now() < end) await yielder.pause();
  expect(hasFired).toBe(true);
});

// What a session keeps, and what its first token sees.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { createSampler } from "../../../src/sampler/sampler.ts";
import type { SessionOptions } from "../../../src/types.ts";
import { isSameBits, Sequence } from "../../support/sequence.ts";
import { answer } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");
const METHODS: readonly SessionOptions[] = [
  { method: { name: "snapkv", windowSize: 4 }, budget: { tokens: 12 } },
  { method: "streaming-llm", budget: { tokens: 12 } },
  { method: { name: "snapkv", windowSize: 4 }, budget: { keep: 0.25 } },
];
const exact = { maxTokens: 5, logprobs: 0, ignoreEos: true } as const;

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

/** Log-probability of `token` in the decoder's logits, as a session reports it. */
async function logprobOf(sequence: Sequence, token: number): Promise<number> {
  const logits = await sequence.decoder.logits();
  return createSampler({}, model.parts.kernels).logprobs(logits, token, 0).logprob;
}

/** The strict flow by hand: the last token again, over what was kept. */
function readLastAgain(sequence: Sequence, token: number): void {
  sequence.cache.truncate(sequence.cache.seen - 1);
  sequence.decoder.step(token);
}

describe.each(METHODS)("$method, $budget", (options) => {
  const cells = () => model.config.nLayers * model.config.nKvHeads;
  const nRows = (n: number) =>
    options.budget !== undefined && "keep" in options.budget
      ? Math.floor(n * options.budget.keep)
      : 12;

  test("strict: the first token comes from the compressed cache, bit for bit", async () => {
    const session = model.session({ ...options, flow: "strict" });
    const { tokens } = await answer(session, { tokens: ids }, exact);
    const sequence = new Sequence(model, options);
    await sequence.prefill(ids);
    const usual = await sequence.decoder.logits();
    readLastAgain(sequence, ids.at(-1) as number);
    expect(isSameBits([await sequence.decoder.logits()], [usual])).toBe(false);
    for (const { token, logprob } of tokens) {
      expect(await sequence.decoder.best()).toBe(token);
      expect(await logprobOf(sequence, token)).toBe(logprob);
      sequence.decoder.step(token);
    }
    session.dispose();
    sequence.dispose();
  });

  test("usual: the first token comes from the full prompt, the next from what was kept", async () => {
    const session = model.session({ ...options, flow: "usual" });
    const { tokens } = await answer(session, { tokens: ids }, exact);
    const full = model.session();
    const { tokens: uncompressed } = await answer(full, { tokens: ids }, exact);
    expect(tokens[0]).toEqual(uncompressed[0]);
    expect(tokens[1]?.logprob).not.toBe(uncompressed[1]?.logprob);
    const sequence = new Sequence(model, options);
    await sequence.prefill(ids);
    for (const { token, logprob } of tokens) {
      expect(await logprobOf(sequence, token)).toBe(logprob);
      sequence.decoder.step(token);
    }
    for (const one of [session, full, sequence]) one.dispose();
  });

  test.each(["strict", "usual"] as const)(
    "%s: rows kept, and position is tokens seen",
    async (flow) => {
      const session = model.session({ ...options, flow });
      const { events, done } = await answer(session, { tokens: ids }, exact);
      const compressed = events.find((event) => event.type === "compressed");
      expect(compressed?.usage.keptRows).toBe(cells() * nRows(60));
      expect(compressed?.usage.fullRows).toBe(cells() * 60);
      expect(done.usage.position).toBe(60 + 4);
      expect(done.usage.cache.keptRows).toBe(cells() * (nRows(60) + 4));
      expect(done.usage.cache.bytes).toBe(
        done.usage.cache.perLayer.reduce((sum, { bytes }) => sum + bytes, 0),
      );
      session.dispose();
    },
  );

  test("turn after turn compresses to the budget again, as by hand", async () => {
    const session = model.session({ ...options, turnPolicy: "each" });
    const sequence = new Sequence(model, { ...options, turnPolicy: "each" });
    let pending: number[] = [];
    for (const [begin, end] of [
      [0, 25],
      [25, 45],
      [45, 60],
    ] as const) {
      const own = ids.slice(begin, end);
      const { tokens, events, ids: said } = await answer(session, { tokens: own }, exact);
      const prompt = [...pending, ...own];
      await sequence.prefill(prompt);
      const nSeen = sequence.cache.seen;
      const compressed = events.find((event) => event.type === "compressed");
      expect(compressed?.usage.keptRows).toBe(cells() * nRows(nSeen));
      readLastAgain(sequence, prompt.at(-1) as number);
      for (const [i, { token, logprob }] of tokens.entries()) {
        expect(await logprobOf(sequence, token)).toBe(logprob);
        if (i < tokens.length - 1) sequence.decoder.step(token);
      }
      pending = said.slice(-1);
      expect(session.usage().position).toBe(sequence.cache.seen);
    }
    session.dispose();
    sequence.dispose();
  });
});

test("streaming-llm keeps the sinks and the newest positions", async () => {
  const sequence = new Sequence(model, { method: "streaming-llm", budget: { tokens: 12 } });
  await sequence.prefill(ids);
  for (let l = 0; l < model.config.nLayers; l++) {
    for (const positions of await sequence.cache.keptPositions(l)) {
      expect([...positions]).toEqual([0, 1, 2, 3, 52, 53, 54, 55, 56, 57, 58, 59]);
    }
  }
  sequence.dispose();
});

test("a prompt within the budget is not compressed and says nothing", async () => {
  const session = model.session({ method: "streaming-llm", budget: { tokens: 60 } });
  const full = model.session();
  const { events, tokens } = await answer(session, { tokens: ids }, exact);
  expect(events.some(({ type }) => type === "compressed")).toBe(false);
  expect(tokens).toEqual((await answer(full, { tokens: ids }, exact)).tokens);
  session.dispose();
  full.dispose();
});

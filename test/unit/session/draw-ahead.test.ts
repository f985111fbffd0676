// Sampled answers whose tokens are drawn where the logits are, ahead of the host: the same answers.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { GenerateOptions, SamplingOptions, SessionOptions } from "../../../src/types.ts";
import { chatSession, collect } from "../../support/sessions.ts";
import { openToy, REFERENCE, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");

let model: LocalModel;
let engine: Engine;
beforeAll(async () => {
  model = await openToy("toy-llama", REFERENCE);
  ({ engine } = model.parts.transformer);
});
afterAll(() => model.dispose());

/** The engine says that it computes later; its ops, and what they give, are the same. */
function setReadAhead(nSteps: number): void {
  Object.defineProperty(engine, "readAhead", { value: nSteps, configurable: true });
}

type Draw = NonNullable<Engine["draw"]>;

/** `run` with ops that draw as `change` makes of the engine's own. */
async function withDraw<T>(change: (own: Draw) => Draw, run: () => Promise<T>): Promise<T> {
  const { draw } = engine;
  if (draw === undefined) throw new Error("The reference draws");
  Object.defineProperty(engine, "draw", { value: vi.fn(change(draw)), configurable: true });
  try {
    return await run();
  } finally {
    Object.defineProperty(engine, "draw", { value: draw, configurable: true });
  }
}

/** Two thirds of all tokens end an answer, unless it is to go on. */
const STOPS = Array.from({ length: 512 }, (_, token) => token).filter((token) => token % 3 > 0);

const ENDINGS: readonly (readonly [options: GenerateOptions, nEvents: number])[] = [
  [{ maxTokens: 14, ignoreEos: true }, Infinity],
  [{ maxTokens: 20, ignoreEos: true }, 9], // aborted
  [{ maxTokens: 20 }, Infinity],
  [{ maxTokens: 30, ignoreEos: true, stop: ["e"] }, Infinity],
  // The log-probabilities tell caches apart that differ in a bit.
  [{ maxTokens: 4, ignoreEos: true, logprobs: 2 }, Infinity],
];

/** A conversation: events, what the session holds at each of them, and what ended the answers. */
async function talk(sampling: SamplingOptions, session: SessionOptions, nSteps: number) {
  setReadAhead(nSteps);
  const chat = chatSession(model, { stopTokens: STOPS, session });
  const answers = [];
  for (const [turn, [options, nEvents]] of ENDINGS.entries()) {
    const controller = new AbortController();
    const seen: unknown[] = [];
    const input = { tokens: ids.slice(7 * turn, 7 * turn + 12) };
    const choices = { ...sampling, ...options, signal: controller.signal };
    const { error } = await collect(chat.generate(input, choices), (event, n) => {
      const { tokens, position, cache } = chat.usage();
      seen.push({ ...event, usage: undefined, tokens, position, cache });
      if (n === nEvents) controller.abort("enough");
    });
    const { cache } = chat.usage();
    answers.push({ seen, code: (error as { code?: string } | undefined)?.code, cache });
  }
  chat.dispose();
  setReadAhead(0);
  return answers;
}

const SAMPLINGS: readonly SamplingOptions[] = [
  { temperature: 0.8, seed: 3 },
  { temperature: 1.5, seed: 4 },
  { temperature: 0.7, topK: 40, seed: 5 },
  { temperature: 1, topK: 200, topP: 0.9, minP: 0.02, seed: 6 },
  { temperature: 1, topP: 0.9, seed: 7 },
  { temperature: 1, topP: 0.999999, seed: 8 },
  { temperature: 1.2, minP: 0.05, seed: 9 },
  { temperature: 1, topP: 0.8, minP: 0.1, seed: 10 },
  { temperature: 1, topK: 300, seed: 11 },
  { temperature: 1, topK: 20, repetitionPenalty: 1.2, seed: 12 },
];

const PLAIN: SessionOptions = { headroom: 4 };
const COMPRESSED: SessionOptions = {
  headroom: 16,
  method: "streaming-llm",
  budget: { tokens: 40 },
};

describe.each(SAMPLINGS)("%j", (sampling) => {
  test("events, usage and endings are those of choosing step by step", async () => {
    for (const session of [PLAIN, COMPRESSED]) {
      const expected = await talk(sampling, session, 0);
      expect(expected.map(({ code }) => code)).toContain("aborted");
      for (const nSteps of [1, 4]) {
        expect(await talk(sampling, session, nSteps), `${nSteps} ahead`).toEqual(expected);
      }
    }
  });
});

test("an engine that draws other tokens, or says what is no sum, changes no answer", async () => {
  const wrong = (spoil: (words: Uint32Array) => void): ((own: Draw) => Draw) => {
    let n = 0;
    return (own) => (out, logits, nCols, rule, fraction) => {
      own.call(engine, out, logits, nCols, rule, fraction);
      if (++n % 3 > 0) return;
      const words = Uint32Array.from({ length: 2 }, () => 0);
      spoil(words);
      engine.write(out, 0, new Uint8Array(words.buffer));
    };
  };
  for (const sampling of SAMPLINGS.slice(2, 4)) {
    const expected = await talk(sampling, PLAIN, 0);
    const otherToken = wrong((words) => words.set([9, 0]));
    const infinite = wrong((words) => words.set([9, 0x7f800000]));
    for (const change of [otherToken, infinite]) {
      const told = await withDraw(change, async () => talk(sampling, PLAIN, 3));
      expect(told).toEqual(expected);
    }
  }
});

test.each<[string, SamplingOptions, boolean]>([
  ["top-k", { temperature: 1, topK: 20 }, true],
  ["all tokens", { temperature: 0.5 }, true],
  ["more than 256 candidates", { temperature: 1, topK: 300 }, false],
  ["penalties", { temperature: 1, topK: 20, presencePenalty: 0.5 }, false],
  ["next to no temperature", { temperature: 1e-6 }, false],
])("%s: steps run ahead, or not", async (_, sampling, isAhead) => {
  setReadAhead(3);
  const session = model.session({ headroom: 32 });
  const embed = vi.spyOn(engine, "embed");
  const counts: number[] = [];
  const options = { ...sampling, maxTokens: 6, ignoreEos: true };
  await collect(session.generate({ tokens: ids.slice(0, 20) }, options), (event) => {
    if (event.type === "token") counts.push(embed.mock.calls.length - 1); // less the prompt's
  });
  // The first token waits for no step.
  if (isAhead) expect(counts.slice(0, 2)).toEqual([0, 4]);
  else expect(counts).toEqual([0, 1, 2, 3, 4, 5]);
  embed.mockRestore();
  session.dispose();
  setReadAhead(0);
});

test("where a draw tells too little but was right, the steps that ran ahead stay", async () => {
  setReadAhead(2);
  const session = model.session({ headroom: 64 });
  const embed = vi.spyOn(engine, "embed");
  const read = vi.spyOn(engine, "read");
  const sayNothing =
    (own: Draw): Draw =>
    (out, ...rest) => {
      own.call(engine, out, ...rest);
      engine.write(out, 16, new Uint8Array(4)); // the token's own part of the sum
    };
  await withDraw(sayNothing, async () => {
    const options = { temperature: 0.8, maxTokens: 12, ignoreEos: true };
    await collect(session.generate({ tokens: ids.slice(0, 20) }, options));
  });
  expect(embed).toHaveBeenCalledTimes(1 + 11); // the prompt's, then one a step
  const { vocabSize } = model.parts.transformer.config;
  expect(read.mock.calls.filter(([, , bytes]) => bytes === 4 * vocabSize)).toHaveLength(12);
  embed.mockRestore();
  read.mockRestore();
  session.dispose();
  setReadAhead(0);
});

// Reading ahead of the tokens that are known: nobody can tell but by the time that it takes.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { GenerateOptions, Session, SessionOptions } from "../../../src/types.ts";
import { chatSession, collect } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

/** The engine says that it computes later; its ops, and what they give, are the same. */
function setReadAhead(nSteps: number): void {
  Object.defineProperty(model.parts.transformer.engine, "readAhead", { value: nSteps });
}

/** One answer: its events, what the session holds at each of them, and what ended it. */
async function told(session: Session, first: number, options: GenerateOptions, nEvents: number) {
  const controller = new AbortController();
  const seen: unknown[] = [];
  const input = { tokens: ids.slice(first, first + 20) };
  const { error } = await collect(
    session.generate(input, { ...options, signal: controller.signal }),
    (event, n) => {
      const { tokens, position, cache, compression } = session.usage();
      const shown = event.type === "done" ? { ...event, usage: undefined } : event;
      seen.push({ shown, tokens, position, cache, compression });
      if (n === nEvents) controller.abort("enough");
    },
  );
  return {
    seen,
    code: (error as { code?: string } | undefined)?.code,
    usage: session.usage().cache,
  };
}

/** Two thirds of all tokens end an answer, unless it is to go on. */
const STOPS = Array.from({ length: 512 }, (_, token) => token).filter((token) => token % 3 > 0);

const TURNS: readonly (readonly [first: number, options: GenerateOptions, nEvents: number])[] = [
  [0, { maxTokens: 9, ignoreEos: true }, Infinity],
  [11, { maxTokens: 1, ignoreEos: true }, Infinity],
  [5, { maxTokens: 30, ignoreEos: true }, 9],
  [7, { maxTokens: 30 }, Infinity],
  [30, { maxTokens: 12, ignoreEos: true, temperature: 0.8, seed: 3 }, Infinity],
  [9, { maxTokens: 25, ignoreEos: true, stop: ["e"] }, Infinity],
  [40, { maxTokens: 24, ignoreEos: true }, Infinity],
  // The log-probabilities tell caches apart that differ in a bit.
  [2, { maxTokens: 6, ignoreEos: true, logprobs: 2 }, Infinity],
];

const SESSIONS: readonly SessionOptions[] = [
  { headroom: 4 },
  { headroom: 4, chunkSize: 8, method: { name: "snapkv", windowSize: 4 }, budget: { tokens: 12 } },
  { headroom: 16, method: "streaming-llm", budget: { tokens: 40 } },
  { headroom: 8, method: { name: "snapkv", windowSize: 8 }, budget: { bytes: 140_000 } },
  { headroom: 8, method: "h2o", budget: { tokens: 24 } },
];

async function run(options: SessionOptions, nSteps: number) {
  setReadAhead(nSteps);
  const session = chatSession(model, { stopTokens: STOPS, session: options });
  const answers = [];
  for (const [first, choices, nEvents] of TURNS) {
    answers.push(await told(session, first, choices, nEvents));
  }
  session.dispose();
  setReadAhead(0);
  return answers;
}

describe.each(SESSIONS)("$method, $budget, headroom $headroom", (options) => {
  test("events, usage and endings are those of reading step by step", async () => {
    const expected = await run(options, 0);
    expect(expected.map(({ code }) => code)).toContain("aborted");
    expect(JSON.stringify(expected)).toMatch(/"reason":"stop".*"reason":"length"/);
    for (const nSteps of [1, 3, 16]) expect(await run(options, nSteps)).toEqual(expected);
  });
});

test("steps run ahead of the tokens that were read, no further than the answer may go", async () => {
  const { engine } = model.parts.transformer;
  const embed = vi.spyOn(engine, "embed");
  setReadAhead(3);
  const session = model.session({ headroom: 32 });
  const counts: number[] = [];
  const options = { maxTokens: 6, ignoreEos: true };
  await collect(session.generate({ tokens: ids.slice(0, 20) }, options), (event) => {
    if (event.type === "token") counts.push(embed.mock.calls.length - 1); // less the prompt's
  });
  // The first token waits for no step.
  expect(counts).toEqual([0, 4, 5, 5, 5, 5]);
  embed.mockRestore();
  session.dispose();
  setReadAhead(0);
});

// Devices that go away in the middle: the session goes on elsewhere, as if nothing had happened.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { LocalSession, type SessionParts } from "../../../src/session.ts";
import type { GenerateEvent, GenerateOptions, SessionOptions } from "../../../src/types.ts";
import { answer, chatParts } from "../../support/sessions.ts";
import { openToy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");

let model: LocalModel;
const opened: LocalModel[] = [];
async function open(): Promise<LocalModel> {
  const one = await openToy("toy-llama");
  opened.push(one);
  return one;
}
beforeAll(async () => {
  model = await open();
});
afterAll(() => opened.forEach((one) => one.dispose()));

/** From the `n`-th attention on, counted from 1, everything that computes says that it is lost. */
function loseAfter(engine: Engine, n: number): void {
  const fail = (): never => {
    throw new KvasirError("device-lost", "Cannot go on: the GPU went away");
  };
  const { attend } = engine;
  let left = n;
  engine.attend = (...args: Parameters<Engine["attend"]>) => {
    if (--left > 0) return attend.apply(engine, args);
    for (const name of ["attend", "embed", "alloc", "argmax"] as const) engine[name] = fail;
    engine.read = async () => fail();
    return fail();
  };
}

/** Parts whose engine is lost at each of `losses`, counted in attentions on that engine. */
async function partsThatLose(losses: readonly number[]) {
  const queue = [...losses];
  let nRenewed = 0;
  const next = async () => {
    const { transformer } = (await open()).parts;
    const loss = queue.shift();
    if (loss !== undefined) loseAfter(transformer.engine, loss);
    return transformer;
  };
  const parts: SessionParts = {
    ...chatParts(model),
    transformer: await next(),
    renew: async () => {
      nRenewed++;
      return next();
    },
  };
  return { parts, nRenewed: () => nRenewed };
}

const TURNS: readonly (readonly [first: number, options: GenerateOptions])[] = [
  [0, { maxTokens: 7, ignoreEos: true }],
  [11, { maxTokens: 6, ignoreEos: true, temperature: 0.9, seed: 4 }],
  [20, { maxTokens: 30, ignoreEos: true, stop: ["e"] }],
  [5, { maxTokens: 6, ignoreEos: true, logprobs: 2 }],
];

/** Every event but progress, which begins anew, and what timing says. */
async function talk(parts: SessionParts, options: SessionOptions) {
  const session = new LocalSession(parts, options);
  const told: unknown[] = [];
  for (const [first, choices] of TURNS) {
    const { events } = await answer(session, { tokens: ids.slice(first, first + 20) }, choices);
    told.push(events.filter(({ type }) => type !== "prefill").map(withoutTiming));
  }
  session.dispose();
  return told;
}

function withoutTiming(event: GenerateEvent): unknown {
  if (event.type !== "done") return event;
  const { timing: _, cache, ...usage } = event.usage;
  // Where the rows were built anew, the peak was another.
  return { ...event, usage: { ...usage, cache: { ...cache, peakBytes: 0 } } };
}

const SESSIONS: readonly SessionOptions[] = [
  { headroom: 16 },
  { headroom: 16, chunkSize: 8, method: { name: "snapkv", windowSize: 4 }, budget: { tokens: 12 } },
  { headroom: 16, method: "streaming-llm", budget: { tokens: 40 } },
  { headroom: 16, method: "h2o", budget: { tokens: 24 } },
];

describe.each(SESSIONS)("$method, $budget", (options) => {
  test("lost in a prompt, in an answer, in a later turn: the events of an engine that stays", async () => {
    const expected = await talk((await partsThatLose([])).parts, options);
    for (const losses of [[2], [9], [25], [60], [13, 30], [40, 3]]) {
      const { parts, nRenewed } = await partsThatLose(losses);
      expect(await talk(parts, options), `lost at ${losses.join()}`).toEqual(expected);
      expect(nRenewed()).toBe(losses.length);
    }
  });
});

test("a fork and a restored session outlive the engine, too", async () => {
  const choices = { maxTokens: 8, ignoreEos: true, logprobs: 1 } as const;
  const run = async (losses: readonly number[]) => {
    const { parts } = await partsThatLose(losses);
    const session = new LocalSession(parts, { headroom: 16 });
    await session.read({ tokens: ids.slice(0, 20) });
    const fork = session.fork();
    const next = { tokens: ids.slice(20, 30) };
    const answers = [await answer(fork, next, choices), await answer(session, next, choices)];
    for (const one of [fork, session]) one.dispose();
    return answers.map(({ tokens }) => tokens);
  };
  const { config } = model;
  const inRead = config.nLayers;
  expect(await run([inRead + 2 * config.nLayers])).toEqual(await run([]));
});

test("an engine that refuses what it is given is not lost: the answer ends with its code", async () => {
  const { parts, nRenewed } = await partsThatLose([]);
  parts.transformer.engine.read = async () => {
    throw new KvasirError("engine-failed", "Cannot compute: the GPU says no");
  };
  const session = new LocalSession(parts, { headroom: 16 });
  const refused = answer(session, { tokens: ids.slice(0, 20) }, { maxTokens: 2 });
  await expect(refused).rejects.toMatchObject({ code: "engine-failed" });
  expect(nRenewed()).toBe(0);
  session.dispose();
});

test("an engine that goes away again and again, or for good: device-lost", async () => {
  const { parts } = await partsThatLose([2, 2, 2, 2, 2]);
  const session = new LocalSession(parts, {});
  const lost = answer(session, { tokens: ids.slice(0, 20) }, { maxTokens: 2 });
  await expect(lost).rejects.toMatchObject({ code: "device-lost" });
  session.dispose();

  const { parts: others } = await partsThatLose([2]);
  const { renew: _, ...staying } = others;
  const other = new LocalSession(staying, {});
  const gone = answer(other, { tokens: ids.slice(0, 20) }, { maxTokens: 2 });
  await expect(gone).rejects.toMatchObject({ code: "device-lost" });
  other.dispose();
});

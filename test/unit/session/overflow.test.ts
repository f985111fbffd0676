// Sessions that reach the model's context or their budget: they compress and go on, or say why not.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCompressor } from "../../../src/compress.ts";
import { createMethod } from "../../../src/compression/registry.ts";
import { compose } from "../../../src/compression/compose.ts";
import { defineMethod } from "../../../src/compression/define-method.ts";
import { recencyScorer } from "../../../src/compression/scorers/recency.ts";
import { tokenTopK } from "../../../src/compression/selectors/token-top-k.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { prefill } from "../../../src/prefill.ts";
import type { SessionOptions } from "../../../src/types.ts";
import { maxAbs } from "../../support/matchers.ts";
import { naiveRope } from "../../support/naive.ts";
import { Sequence } from "../../support/sequence.ts";
import { answer, collect } from "../../support/sessions.ts";
import { openToy, type Toy, toyGolden } from "../../support/toys.ts";

const { ids } = toyGolden("toy-llama");
const N_TURNS = 50;
const METHODS: readonly SessionOptions[] = [
  { method: "streaming-llm", budget: { tokens: 40 } },
  { method: { name: "streaming-llm", positions: "cache", interval: 4 }, budget: { tokens: 40 } },
  { method: { name: "snapkv", windowSize: 8 }, budget: { tokens: 40 } },
  { method: { name: "snapkv", windowSize: 8 }, budget: { tokens: 40 }, turnPolicy: "each" },
  { method: "knorm", budget: { keep: 0.2 } },
  { method: "h2o", budget: { tokens: 40 } },
];

let model: LocalModel;
beforeAll(async () => {
  model = await openToy("toy-llama");
});
afterAll(() => model.dispose());

describe.each(METHODS)("$method, $budget", (options) => {
  test("50 turns far past the context: bounded rows, events, the position is tokens seen", async () => {
    const { contextLength } = model.config;
    const session = model.session({ ...options, headroom: 16 });
    const reasons: string[] = [];
    let [nTokens, longest] = [0, 0];
    for (let turn = 0; turn < N_TURNS; turn++) {
      const { events, ids: said } = await answer(
        session,
        { tokens: ids.slice(turn % 20, (turn % 20) + 30) },
        { maxTokens: 10, ignoreEos: true },
      );
      nTokens += 30 + said.length;
      for (const event of events) if (event.type === "compressed") reasons.push(event.reason);
      const rows = session.usage().cache.perLayer.flatMap((layer) => layer.rows);
      longest = Math.max(longest, ...rows);
    }
    expect(nTokens).toBeGreaterThan(3 * contextLength);
    // The last token said is read with the next turn.
    expect(session.usage().position).toBe(nTokens - 1);
    expect(longest).toBeLessThanOrEqual(contextLength);
    expect(reasons.length).toBeGreaterThan(0);
    session.dispose();
  });
});

test("the compressed event of an overflow holds kept mass per layer, rows and reason", async () => {
  const session = model.session({
    method: { name: "snapkv", windowSize: 8 },
    budget: { tokens: 40 },
  });
  const { events } = await answer(session, { tokens: ids }, { maxTokens: 600, ignoreEos: true });
  const overflows = events.filter((e) => e.type === "compressed" && e.reason === "overflow");
  expect(overflows.length).toBeGreaterThan(0);
  for (const event of overflows) {
    if (event.type !== "compressed") continue;
    expect(event.usage.perLayer.every(({ rows }) => rows.every((n) => n === 40))).toBe(true);
    expect(event.compression.keptMass).toHaveLength(model.config.nLayers);
    for (const mass of event.compression.keptMass) {
      expect(mass).toBeGreaterThan(0);
      expect(mass).toBeLessThanOrEqual(1);
    }
  }
  session.dispose();
});

test("full: cache-full, and the session is as it was", async () => {
  const session = model.session();
  await answer(session, { tokens: ids }, { maxTokens: 400, ignoreEos: true });
  const { position } = session.usage();
  const { error } = await collect(session.generate({ tokens: [...ids, ...ids] }));
  expect(error).toMatchObject({ code: "cache-full" });
  expect(session.usage().position).toBe(position);
  session.dispose();
});

test("a method that makes no room: cache-full names the bytes; in tokens the answer ends", async () => {
  const stays = defineMethod({
    id: "stays",
    create: () =>
      compose({
        scorer: recencyScorer(0),
        selector: tokenTopK,
        schedule: { onOverflow: false },
      }),
  });
  const bytes = 300_000;
  const inBytes = model.session({ method: stays, budget: { bytes }, headroom: 8 });
  await answer(inBytes, { tokens: ids }, { maxTokens: 1 });
  const held = inBytes.usage().cache.bytes;
  const { error } = await collect(inBytes.generate({ tokens: [...ids, ...ids, ...ids] }));
  expect(error).toMatchObject({
    code: "cache-full",
    message: expect.stringMatching(
      new RegExp(`"stays".*${bytes} bytes, of which ${held} are held; got \\d+ more tokens`),
    ) as unknown,
  });
  const inTokens = model.session({
    method: stays,
    budget: { tokens: 20 },
    headroom: 8,
    turnPolicy: "each",
  });
  const { done } = await answer(inTokens, { tokens: ids }, { maxTokens: 40, ignoreEos: true });
  expect(done.reason).toBe("length");
  expect(done.usage.tokens.completion).toBeLessThan(40);
  for (const session of [inBytes, inTokens]) session.dispose();
});

test("abort in an overflow: the tokens that were to be read again are read with the next turn", async () => {
  const session = model.session({
    method: { name: "snapkv", windowSize: 8 },
    budget: { keep: 0.9 },
  });
  await answer(session, { tokens: ids }, { maxTokens: 400, ignoreEos: true });
  const { position } = session.usage();
  const rows = session.usage().cache.keptRows;
  const signal = { aborted: false, reason: "why" };
  // The signal fires at its second look, which is in the overflow's prefill.
  let looks = 0;
  Object.defineProperty(signal, "aborted", { get: () => looks++ > 0 });
  const { error } = await collect(
    session.generate({ tokens: ids }, { signal: signal as unknown as AbortSignal }),
  );
  expect(error).toMatchObject({ code: "aborted" });
  const after = session.usage();
  const cells = model.config.nLayers * model.config.nKvHeads;
  expect(position - after.position).toBe(8);
  expect(rows - after.cache.keptRows).toBe(8 * cells);
  const { done } = await answer(session, { tokens: ids }, { maxTokens: 2, ignoreEos: true });
  expect(done.usage.position).toBe(position + 1 + ids.length + 1);
  session.dispose();
});

describe.each<Toy>(["toy-llama", "toy-qwen2", "toy-qwen3"])("%s: rows moved on overflow", (toy) => {
  test("lie one after the other, as if rotated there at once (1e-5)", async () => {
    const own = await openToy(toy);
    const { transformer, kernels } = own.parts;
    const { config, engine } = transformer;
    const sequence = new Sequence(own);
    await sequence.prefill(ids);
    const keysOf = async (l: number) => {
      const rows = sequence.cache.layer(l);
      const bytes = await engine.read(rows.keys, 0, rows.keys.byteLength);
      return { start: rows.start.slice(), keys: new Float32Array(bytes.slice().buffer) };
    };
    const before = await keysOf(0);
    const compressor = createCompressor({
      ...{ engine, cache: sequence.cache, kernels, config },
      method: createMethod({ name: "streaming-llm", nSink: 3 }),
      budget: { tokens: 10 },
    });
    sequence.cache.truncate(59);
    const parts = { transformer, cache: sequence.cache, compressor, chunkSize: 8 };
    const newest = Uint32Array.of(ids[59] ?? 0);
    for await (const step of prefill(newest, { ...parts, cause: "context" }, () => {})) void step;
    const { headDim, ropeStyle, nKvHeads } = config;
    const after = await keysOf(0);
    const { base = NaN, factors } = config.layers[0]?.rope ?? {};
    const frequency = (pair: number) =>
      Math.fround(Math.fround(base ** ((-2 * pair) / headDim)) / (factors?.[pair] ?? 1));
    for (let head = 0; head < nKvHeads; head++) {
      const positions = (await sequence.cache.keptPositions(0))[head];
      expect([...(positions ?? [])]).toEqual([50, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
      const known = sequence.cache.knownPositions(0)[head];
      expect([...(known ?? [])]).toEqual([0, 1, 2, 53, 54, 55, 56, 57, 58, 59]);
      for (const [row, original] of [0, 1, 2].entries()) {
        const from = ((before.start[head] ?? 0) + original) * headDim;
        const to = ((after.start[head] ?? 0) + row) * headDim;
        const expected = naiveRope(
          before.keys.subarray(from, from + headDim),
          50,
          frequency,
          ropeStyle,
        );
        expect(maxAbs(after.keys.subarray(to, to + headDim), expected)).toBeLessThanOrEqual(1e-5);
      }
    }
    expect(sequence.cache.span(0)).toBe(10);
    sequence.dispose();
    own.dispose();
  });
});

describe.each<Toy>(["toy-llama", "toy-gemma3"])("%s: a budget in bytes", (toy) => {
  test.each(["snapkv", "streaming-llm", "h2o"])(
    "%s: 12 turns and long answers never hold more, signals and scratch included",
    async (name) => {
      const own = await openToy(toy);
      const bytes = 400_000;
      const method = name === "snapkv" ? { name, windowSize: 8 } : name;
      const session = own.session({ method, budget: { bytes }, headroom: 8, chunkSize: 16 });
      const { engine } = own.parts.transformer;
      for (let turn = 0; turn < 12; turn++) {
        await answer(session, { tokens: ids.slice(0, 40) }, { maxTokens: 50, ignoreEos: true });
        expect(session.usage().cache.peakBytes, `turn ${turn}`).toBeLessThanOrEqual(bytes);
      }
      expect(session.usage().position).toBeGreaterThan(1000);
      expect(engine.memory().bytes).toBeGreaterThan(0);
      session.dispose();
      own.dispose();
    },
  );
});

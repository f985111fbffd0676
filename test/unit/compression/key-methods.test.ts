// Methods that score by keys, values and expected queries, and those that stand on any scorer.
import { describe, expect, it } from "vitest";
import { ada } from "../../../src/compression/allocators/ada.ts";
import { compose } from "../../../src/compression/compose.ts";
import { defineMethod } from "../../../src/compression/define-method.ts";
import type { LayerContext, Scorer, Scores } from "../../../src/compression/method.ts";
import { createMethod } from "../../../src/compression/registry.ts";
import { scorerByName } from "../../../src/compression/scorers/index.ts";
import { chunkedTopK } from "../../../src/compression/selectors/chunked-top-k.ts";
import { tokenTopK } from "../../../src/compression/selectors/token-top-k.ts";
import { twoStage } from "../../../src/compression/selectors/two-stage.ts";
import { judgePerHead, judgeShared } from "../../../src/parity/kept-sets.ts";
import { goldenPath, readF32, readJson, readU16 } from "../../support/golden.ts";
import {
  keptRows,
  layerContext,
  modelMeta,
  randomSignals,
  randomSums,
} from "../../support/layer-context.ts";
import { Rng } from "../../support/rng.ts";

const range = (begin: number, end: number) =>
  Array.from({ length: end - begin }, (_, i) => begin + i);

/** One head whose keys and values are rows of eight channels, the given ones first. */
function oneHead(keys: readonly (readonly number[])[], budget: number, hasQkNorm = false) {
  const wide = keys.flatMap((key) => [...key, ...new Array<number>(8 - key.length).fill(0)]);
  const rows = [Float32Array.from(wide)];
  const context = layerContext({
    nHeads: 1,
    nKvHeads: 1,
    lengths: [keys.length],
    budget: [budget],
    signals: { keys: rows, values: rows },
  });
  return { ...context, model: { ...modelMeta(1, 1), hasQkNorm } };
}

/** A scorer that knows. */
function given(perHead: readonly Float32Array[], nSink = 0, nRecent = 0): Scorer {
  return {
    needs: { prefill: [], decode: [] },
    score: (): Scores => ({ perHead, nSink, nRecent }),
  };
}

/** What a method says after a layer. */
function notesOf(name: string, context: LayerContext): readonly string[] {
  const method = createMethod(name);
  const state = method.onSequence(context.sequence);
  method.onPrefillLayer?.({ ...context, state });
  return method.report(state).notes;
}

describe("knorm", () => {
  it("keeps the shortest keys and the newest row", () => {
    const context = oneHead([[3], [1], [-2], [0, 1.5], [9]], 3);
    expect(keptRows(createMethod("knorm"), context)).toEqual([[1, 3, 4]]);
  });

  it("skips the first layers but never all", () => {
    const skipped = (parameters: Record<string, unknown>, nLayers: number) =>
      range(0, nLayers).filter((layer) =>
        createMethod("knorm", parameters).skips?.(layer, modelMeta(1, 1, nLayers)),
      );
    expect(skipped({}, 4)).toEqual([0, 1]);
    expect(skipped({ skipLayers: 0 }, 4)).toEqual([]);
    expect(skipped({ skipLayers: 9 }, 3)).toEqual([0, 1]);
    expect(skipped({}, 1)).toEqual([]);
  });
});

describe("keydiff", () => {
  it("keeps the keys that point elsewhere, whatever their length", () => {
    const context = oneHead([[5], [0, 0.1], [4, 0.1], [1], [2], [1, 0.1]], 2);
    expect(keptRows(createMethod("keydiff"), context)).toEqual([[1, 5]]);
  });
});

describe("methods that may act while decoding", () => {
  it.each(["knorm", "keydiff", "lagkv", "expected-attention"])(
    "%s does as often as asked, by the signals of the prompt",
    (name) => {
      const never = createMethod(name);
      expect(never.schedule).toMatchObject({ everySteps: 0, onOverflow: true });
      const { schedule, needs, onDecodeStep } = createMethod(name, { interval: 8 });
      expect(schedule).toMatchObject({ prefill: "end", everySteps: 8 });
      expect(needs.decode).toEqual(needs.prefill);
      expect(onDecodeStep).toBeTypeOf("function");
    },
  );
});

describe("models that normalise keys", () => {
  it.each(["knorm", "keydiff", "chunked"])("are noted by %s", (name) => {
    expect(notesOf(name, oneHead([[1], [2], [3]], 2, true))).toEqual([
      expect.stringContaining("normalises its keys"),
    ]);
    expect(notesOf(name, oneHead([[1], [2], [3]], 2))).toEqual([]);
  });
});

describe("lagkv", () => {
  const rng = new Rng(5);
  const context = (nRows: number, budget: number) =>
    layerContext({
      nHeads: 1,
      nKvHeads: 1,
      lengths: [nRows],
      budget: [budget],
      signals: randomSignals(rng, { nHeads: 1, lengths: [nRows] }),
    });

  it("keeps sinks, the last partition and the tail", () => {
    const method = createMethod("lagkv", { nSink: 2, lagSize: 5 });
    // Partitions [2, 7), [7, 12), [12, 17); 17 to 19 remain.
    const [kept] = keptRows(method, context(20, 14));
    expect(kept?.slice(0, 2)).toEqual([0, 1]);
    expect(kept?.slice(-8)).toEqual(range(12, 20));
    expect(keptRows(method, context(20, 4))).toEqual([[0, 1, 18, 19]]);
  });

  it("keeps the newest rows of a prompt below two partitions, and says so", () => {
    expect(keptRows(createMethod("lagkv"), context(40, 6))).toEqual([[0, 1, 2, 3, 38, 39]]);
    expect(notesOf("lagkv", context(40, 6))).toEqual([expect.stringContaining("260 rows")]);
  });
});

describe("expected-attention", () => {
  const score = (parameters: Record<string, unknown>, context: LayerContext) =>
    scorerByName("expected-attention", parameters).score(context);
  const setup = { nHeads: 4, nKvHeads: 2, lengths: [9, 7], budget: [5, 5] };
  const signals = randomSignals(new Rng(3), setup);
  const context = layerContext({ ...setup, signals });

  it("scores rows after the sinks, queries at the positions behind the newest row", () => {
    const { perHead, nSink } = score({ nSink: 3, nFuture: 20, useValueNorm: false }, context);
    expect(nSink).toBe(3);
    for (const [head, scores] of perHead.entries()) {
      expect([...scores.subarray(0, 3)]).toEqual([0, 0, 0]);
      expect(scores.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
      const { mean, covariance } = signals.queryStats ?? { mean: undefined, covariance: undefined };
      const expected = context.kernels.stats.expectedAttention(
        (signals.keys?.[head] ?? new Float32Array()).subarray(24),
        scores.length - 3,
        {
          mean: mean?.subarray(head * 16, head * 16 + 16) ?? new Float32Array(),
          covariance: covariance?.subarray(head * 128, head * 128 + 128) ?? null,
          rope: { base: 10_000 },
          ropeStyle: "half",
          firstPosition: scores.length,
          nFuture: 20,
          scale: 1 / Math.sqrt(8),
        },
      );
      expect(scores.subarray(3)).toEqual(expected);
    }
  });

  it("needs values for their norms only, and no statistics of sinks", () => {
    const { needs } = scorerByName("expected-attention", { useValueNorm: false, nSink: 2 });
    expect(needs).toMatchObject({ prefill: ["queryStats", "keys"], nSink: 2 });
    expect(createMethod("expected-attention").capabilities.queryAware).toBe(false);
  });

  it("keeps the newest row and sinks of a prompt that is hardly longer than these", () => {
    const short = { nHeads: 1, nKvHeads: 1, lengths: [3], budget: [2] };
    const method = createMethod("expected-attention");
    const all = layerContext({ ...short, signals: randomSignals(new Rng(1), short) });
    expect(keptRows(method, all)).toEqual([[0, 2]]);
  });
});

describe("twoStage", () => {
  const scores = Float32Array.of(9, 8, 7, 6, 5, 4, 0, 0);
  const norms = Float32Array.of(1, 1, 1, 1, 3, 9, 1, 1);
  const select = (
    budget: number,
    firstStage: number,
    alpha = 0,
    epsilon = 0,
    forced?: number[],
  ) => {
    const setup = { nHeads: 1, nKvHeads: 1, lengths: [8], budget: [budget] };
    const signals = { valueOutputNorms: { norms, nRows: 8 } };
    const context = layerContext({ ...setup, signals, ...(forced && { forced }) });
    const selector = twoStage({ epsilon, firstStage, alpha });
    const [rows] = selector.select(
      { ...context, forced: [Uint32Array.from(forced ?? [])] },
      { perHead: [scores], nSink: 0, nRecent: 0 },
      Uint32Array.of(budget),
    );
    return [...(rows ?? [])];
  };

  it("gives the first stage to scores, the rest to scores times norms", () => {
    expect(select(4, 0.5)).toEqual([0, 1, 4, 5]);
    expect(select(4, 1)).toEqual([0, 1, 2, 3]);
    expect(select(2, 0)).toEqual([4, 5]);
  });

  it("rounds down but gives the first stage a row, forced ones included", () => {
    expect(select(1, 0.5)).toEqual([0]);
    expect(select(5, 0.5)).toEqual([0, 1, 2, 4, 5]);
    expect(select(4, 0.5, 0, 0, [7])).toEqual([0, 4, 5, 7]);
  });

  it("a safe share is a lower bound of the first stage, epsilon lifts what has no score", () => {
    expect(select(4, 0.25, 0.75)).toEqual([0, 1, 2, 5]);
    expect(select(3, 0, 0, 100)).toEqual([0, 4, 5]);
  });
});

describe("chunkedTopK", () => {
  const select = (scores: number[], budget: number, chunkLength: number, forced: number[] = []) => {
    const setup = { nHeads: 1, nKvHeads: 1, lengths: [scores.length], budget: [budget] };
    const context = { ...layerContext(setup), forced: [Uint32Array.from(forced)] };
    const perHead = [Float32Array.from(scores)];
    const all = { perHead, nSink: 0, nRecent: 0 };
    const [rows] = chunkedTopK(chunkLength).select(context, all, Uint32Array.of(budget));
    return [...(rows ?? [])];
  };

  it("keeps the best of each chunk, by its length", () => {
    expect(select([9, 8, 7, 6, 1, 2, 3, 4], 4, 4)).toEqual([0, 1, 6, 7]);
    // Shares of 3 are 1.2, 1.2 and 0.6.
    expect(select([1, 2, 3, 4, 4, 3, 2, 1, 5, 6], 3, 4)).toEqual([3, 4, 9]);
    expect(select([1, 2, 3], 3, 4)).toEqual([0, 1, 2]);
  });

  it("forced rows count in their chunk, and the sum is met", () => {
    expect(select([9, 8, 7, 6, 1, 2, 3, 4], 4, 4, [4, 5])).toEqual([0, 4, 5, 7]);
    expect(select([9, 8, 7, 6, 1, 2, 3, 4], 1, 4, [4, 5])).toEqual([4, 5]);
  });
});

describe("chunked", () => {
  it("scores each chunk as if it were all", () => {
    // Against its own chunk, row 1 differs; against all, rows 0 and 2 would.
    const keys = [[1], [0, 1], [1], [0, 1], [0, 1], [0, 1], [0, 1, 0.1], [0, 1]];
    const context = { ...oneHead(keys, 2), forced: [new Uint32Array(0)] };
    expect(keptRows(createMethod("chunked", { chunkLength: 4 }), context)).toEqual([[0, 6]]);
    expect(keptRows(createMethod("keydiff"), context)).toEqual([[0, 2]]);
  });
});

describe("methods over a scorer", () => {
  it("take its parameters beside their own, which hide equal names", () => {
    const { parameters } = createMethod("critical-kv", { kernelSize: 7, epsilon: 1 });
    expect(parameters).toEqual({
      windowSize: 64,
      kernelSize: 7,
      pooling: "avg",
      groupAgg: "mean",
      epsilon: 1,
      firstStage: 0.5,
      scorer: "snapkv",
    });
    const method = createMethod("critical-kv", { scorer: "expected-attention", nSink: 2 });
    expect(method.needs.prefill).toEqual(["queryStats", "keys", "values", "valueOutputNorms"]);
    expect(method.needs.nSink).toBe(2);
    expect(method.capabilities.queryAware).toBe(false);
    expect(createMethod("critical-kv").capabilities.queryAware).toBe(true);
  });

  it.each([
    ["critical-kv", { scorer: "nonesuch" }, /scorer must be .*"keydiff".*, got "nonesuch"/],
    ["critical-kv", { scorer: "knorm", windowSize: 3 }, /no such parameter .*, got "windowSize"/],
    ["critical-kv", { firstStage: 2 }, /firstStage must be a number from 0 to 1, got 2/],
    ["critical-kv", { kernelSize: 4 }, /kernelSize must be an odd integer >= 1, got 4/],
    ["critical-adakv", { alpha: -1 }, /alpha must be a number from 0 to 1, got -1/],
    ["chunked", { scorer: "snapkv" }, /scorer must be "keydiff" or .*, got "snapkv"/],
    ["chunked", { chunkLength: 0 }, /chunkLength must be an integer >= 1, got 0/],
    ["knorm", { skipLayers: -1 }, /skipLayers must be an integer >= 0, got -1/],
    ["keydiff", { chunkLength: 8 }, /known: interval/],
    ["keydiff", { interval: -1 }, /interval must be an integer >= 0, got -1/],
    ["lagkv", { lagSize: 0.5 }, /lagSize must be an integer >= 1, got 0.5/],
    ["lagkv", { crossScoring: 1 }, /crossScoring must be true or false, got 1/],
    ["expected-attention", { nFuture: 0 }, /nFuture must be an integer from 1 to .*, got 0/],
    ["expected-attention", { epsilon: -0.1 }, /epsilon must be a number >= 0, got -0.1/],
  ])("refuse %s %o", (name, parameters, message) => {
    const refused = expect.objectContaining({
      code: "bad-option",
      message: expect.stringMatching(message) as string,
    });
    expect(() => createMethod(name, parameters)).toThrow(refused as Error);
  });

  it("critical-adakv keeps what each head has best, and the layer's sum", () => {
    const setup = { nHeads: 4, nKvHeads: 2, lengths: [40, 40], budget: [10, 10], nQueries: 3 };
    for (let seed = 0; seed < 20; seed++) {
      const rng = new Rng(seed);
      const sums = randomSums(rng, 4, 40, 3);
      const context = layerContext({ ...setup, sums, signals: randomSignals(rng, setup) });
      const kept = keptRows(createMethod("critical-adakv", { windowSize: 3 }), context);
      expect(kept.flat()).toHaveLength(20);
      for (const rows of kept) expect(rows.length).toBeGreaterThanOrEqual(3 + 2);
    }
  });
});

interface PressEntry {
  readonly kept: { readonly file: string };
  readonly counts: readonly (readonly number[])[];
  readonly scores?: { readonly file: string };
}
type Presses = Record<string, { readonly ratios: Record<string, PressEntry> }>;

describe
  .skipIf(goldenPath("smollm2/presses/p300/presses.json") === undefined)
  .each(["p300", "p1000"])("with kvpress's scores, %s", (prompt) => {
  const folder = `smollm2/presses/${prompt}`;
  const golden = readJson<Presses>(`${folder}/presses.json`);
  const nTokens = readJson<{ ids: number[] }>(`${folder}/index.json`).ids.length;
  const exact = { absolute: 0, relative: 0 };

  it.each([
    ["knorm", tokenTopK, undefined],
    ["keydiff", tokenTopK, undefined],
    ["lagkv", tokenTopK, undefined],
    ["lagkv_cross", tokenTopK, undefined],
    ["expected_attention", tokenTopK, undefined],
    ["expected_attention_mean", tokenTopK, undefined],
    ["chunk_keydiff", chunkedTopK(64), 64],
    ["adakv_expected_attention", tokenTopK, undefined],
  ])("%s keeps the same rows at all ratios", (press, selector, chunkLength) => {
    const { ratios } = golden[press] as Presses[string];
    const isShared = press.startsWith("adakv");
    const allocator = ada({ alpha: 0.2, guarantee: "safe" });
    const all = readF32(`${folder}/${ratios["0.8"]?.scores?.file ?? ""}`);
    for (const [ratio, { kept, counts }] of Object.entries(ratios)) {
      const positions = readU16(`${folder}/${kept.file}`);
      let next = 0;
      for (const [layer, ofLayer] of counts.entries()) {
        const want = ofLayer.map((n) => positions.subarray(next, (next += n)));
        const perHead = ofLayer.map((_, head) => {
          const begin = (layer * ofLayer.length + head) * nTokens;
          return all.subarray(begin, begin + nTokens);
        });
        const mean = ofLayer.reduce((a, b) => a + b, 0) / ofLayer.length;
        const context = {
          ...layerContext({
            nHeads: 9,
            nKvHeads: 3,
            lengths: ofLayer.map(() => nTokens),
            budget: ofLayer.map(() => mean),
          }),
          // kvpress scores the newest row like any other.
          forced: ofLayer.map(() => new Uint32Array(0)),
        };
        const parts = compose({ scorer: given(perHead), selector, ...(isShared && { allocator }) });
        const method = defineMethod({ id: "golden", create: () => parts }).create();
        const got = keptRows(method, context);
        const verdict = isShared
          ? judgeShared(got, want, perHead, exact, 0.2)
          : judgePerHead(got, want, perHead, exact, chunkLength);
        expect(verdict, `${ratio}, layer ${layer}`).toMatchObject({ nWrong: 0 });
      }
    }
  });
});

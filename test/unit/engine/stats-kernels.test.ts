// The statistics kernels over the built WASM, against plain loops in f64.
import { describe, expect, it } from "vitest";
import type { FutureQueries } from "../../../src/compression/stats-kernels.ts";
import { createHostKernels } from "../../../src/engine/wasm/select-kernels.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { randomSignals } from "../../support/layer-context.ts";
import { maxAbs } from "../../support/matchers.ts";
import { naiveStats } from "../../support/naive-stats.ts";
import { Rng } from "../../support/rng.ts";

const { stats } = createHostKernels(await nodeRuntime.loadKernels("simd128"));

const rounded = (values: Iterable<number>) => Array.from(values, (x) => Number(x.toFixed(6)));

describe("rowNorms, keyDiff and weigh", () => {
  it.each([1, 2, 33])("are within 2e-6 of naive for %i rows", (nRows) => {
    const rows = new Rng(nRows).uniforms(nRows * 64, -1, 2);
    const norms = stats.rowNorms(rows, nRows);
    expect(maxAbs(norms, naiveStats.rowNorms(rows, nRows))).toBeLessThan(2e-6);
    expect(maxAbs(stats.keyDiff(rows, nRows), naiveStats.keyDiff(rows, nRows))).toBeLessThan(1e-6);
    const scores = rows.slice(0, nRows);
    const weighed = stats.weigh(scores, scores, 0.5);
    expect(maxAbs(weighed, naiveStats.weigh(scores, scores, 0.5))).toBeLessThan(1e-6);
  });

  it("take no rows, and refuse rows of unequal length", () => {
    expect(stats.rowNorms(new Float32Array(0), 0)).toHaveLength(0);
    expect(stats.keyDiff(new Float32Array(0), 0)).toHaveLength(0);
    expect(() => stats.rowNorms(new Float32Array(7), 2)).toThrow(RangeError);
    expect(() => stats.weigh(new Float32Array(3), new Float32Array(2), 0)).toThrow(
      "Cannot weigh 3 scores: a weight each is needed, got 2",
    );
  });
});

describe("lag", () => {
  it.each(["rank", "score"] as const)("equals naive by %s", (by) => {
    for (const [nRows, nSink, lagSize] of [
      [40, 4, 8],
      [39, 0, 5],
      [19, 4, 8],
      [3, 4, 8],
    ] as const) {
      const rng = new Rng(nRows);
      const [keys, values] = [rng.normals(nRows * 8), rng.normals(nRows * 8, 3)];
      const shape = { nSink, lagSize, by };
      const [got, expected] = [stats, naiveStats].map((kernels) =>
        kernels.lag(keys, values, nRows, shape),
      );
      expect(got?.nTail).toBe(expected?.nTail);
      expect(maxAbs(got?.scores ?? [], expected?.scores ?? [])).toBeLessThan(1e-6);
    }
  });

  it("refuses values of another length and partitions of no rows", () => {
    const keys = new Float32Array(16);
    const shape = { nSink: 0, lagSize: 2, by: "rank" } as const;
    expect(() => stats.lag(keys, keys.subarray(8), 4, shape)).toThrow(RangeError);
    expect(() => stats.lag(keys, keys, 4, { ...shape, lagSize: 0 })).toThrow(RangeError);
  });
});

describe("expectedAttention", () => {
  const future = { rope: { base: 10_000 }, firstPosition: 353, nFuture: 512, scale: 0.35 } as const;

  it("gives the numbers worked out by hand", () => {
    // A head of four whose second pair is 0: channels 0 and 2 are a pair of frequency 1.
    const wide = (values: number[][]) =>
      Float32Array.from(values.flatMap(([a = 0, b = 0]) => [a, 0, b, 0]));
    const covariance = new Float32Array(16);
    covariance.set([2 / 9, 0, -1 / 9], 0);
    covariance.set([-1 / 9, 0, 2 / 9], 8);
    const keys = wide([
      [1, 0],
      [0, 1],
      [0.5, 0.5],
    ]);
    const scores = stats.expectedAttention(keys, 3, {
      ...future,
      mean: wide([[2 / 3, 2 / 3]]),
      covariance,
      ropeStyle: "half",
      firstPosition: 4,
      nFuture: 4,
      scale: Math.SQRT1_2,
    });
    expect(rounded(scores)).toEqual([0.38569, 0.284895, 0.329415]);
    const weighed = stats.weigh(scores, Float32Array.of(1, 2, 1), 0.02);
    expect(maxAbs(weighed, [0.40569, 0.609789, 0.349415])).toBeLessThan(1e-6);
  });

  it.each(["half", "interleaved"] as const)("is within 1e-6 of naive, pairs %s", (ropeStyle) => {
    const rng = new Rng(7);
    const nRows = 21;
    const { queryStats } = randomSignals(rng, { nHeads: 3, lengths: [nRows] });
    const keys = rng.normals(nRows * 8);
    const factors = Float32Array.of(1, 2, 3, 4);
    const mean = queryStats?.mean ?? new Float32Array(24);
    for (const queries of [
      { ...future, ropeStyle, mean, covariance: queryStats?.covariance ?? null },
      { ...future, ropeStyle, mean, covariance: null, rope: { base: 500, scale: 8, factors } },
    ] satisfies FutureQueries[]) {
      const got = stats.expectedAttention(keys, nRows, queries);
      expect(maxAbs(got, naiveStats.expectedAttention(keys, nRows, queries))).toBeLessThan(1e-6);
      expect(got.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
    }
  });

  it("takes no rows, and refuses a head that is no multiple of four", () => {
    const queries = { ...future, ropeStyle: "half", covariance: null } as const;
    const mean = new Float32Array(8);
    expect(stats.expectedAttention(new Float32Array(0), 0, { ...queries, mean })).toHaveLength(0);
    expect(() =>
      stats.expectedAttention(new Float32Array(12), 2, { ...queries, mean: new Float32Array(6) }),
    ).toThrow("Cannot expect attention: headDim must be a multiple of 4, got 6");
  });
});

// The host's kernels for budgets and units over the built WASM: the same results as the naive ones.
import { describe, expect, it } from "vitest";
import { createHostKernels } from "../../../src/engine/wasm/select-kernels.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { naiveAllocate } from "../../support/naive-allocate.ts";
import { Rng } from "../../support/rng.ts";

const kernels = createHostKernels(await nodeRuntime.loadKernels("simd128"));

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Scores with ties and NaN. */
const hardScores = (rng: Rng, n: number) =>
  Float32Array.from({ length: n }, () =>
    rng.uniform() < 0.4 ? ([0, -0, NaN, 1, -1][rng.integer(0, 5)] as number) : rng.normal(),
  );

/** Apart and ascending, with gaps between some. */
function randomUnits(rng: Rng, nRows: number): Uint32Array {
  const bounds: number[] = [];
  for (let row = 0; row < nRows;) {
    const begin = Math.min(nRows, row + (rng.integer(0, 3) === 0 ? rng.integer(0, 5) : 0));
    const end = Math.min(nRows, begin + rng.integer(1, 9));
    bounds.push(begin, end);
    row = end;
  }
  return Uint32Array.from(bounds);
}

describe("pyramid", () => {
  it("equals the naive one for every shape of model and budget", () => {
    const rng = new Rng(21);
    for (let round = 0; round < 400; round++) {
      const [nLayers, nRows] = [rng.integer(1, 40), rng.integer(1, 500)];
      const shape = {
        form: rng.integer(0, 2) === 0 ? ("exact" as const) : ("rounded" as const),
        nRows,
        windowSize: rng.integer(0, 40),
        beta: rng.integer(1, 30),
        minRows: rng.integer(0, 4),
      };
      const rows =
        shape.form === "exact" ? rng.integer(0, nLayers * nRows + 1) : rng.uniform(0, nRows);
      const out = kernels.pyramid(nLayers, rows, shape);
      expect([...out], `round ${round}`).toEqual([...naiveAllocate.pyramid(nLayers, rows, shape)]);
      if (shape.form === "exact") expect(out.reduce((a, b) => a + b, 0)).toBe(rows);
    }
  });
});

describe("split", () => {
  it.each(["mixing", "safe"] as const)("%s equals the naive one on hard scores", (guarantee) => {
    const rng = new Rng(22);
    for (let round = 0; round < 300; round++) {
      const scores = range(rng.integer(1, 5)).map(() => hardScores(rng, rng.integer(0, 30)));
      const reserved = scores.map(({ length }) => rng.subset(length, rng.integer(0, length + 1)));
      const nFree = rng.integer(0, 60);
      const rule = { alpha: rng.integer(0, 11) / 10, guarantee };
      const out = kernels.split(scores, reserved, nFree, rule);
      const expected = naiveAllocate.split(scores, reserved, nFree, rule);
      expect([...out], `round ${round}`).toEqual([...expected]);
    }
  });

  it("refuses reserved rows out of range", () => {
    const rule = { alpha: 0, guarantee: "safe" } as const;
    expect(() => kernels.split([new Float32Array(2)], [Uint32Array.of(2)], 1, rule)).toThrow(
      RangeError,
    );
  });
});

describe("units", () => {
  it.each(["skip", "stop", "exact", "floor"] as const)("%s equals the naive one", (fill) => {
    const rng = new Rng(23);
    for (let round = 0; round < 300; round++) {
      const nRows = rng.integer(1, 80);
      const units = randomUnits(rng, nRows);
      const rows = hardScores(rng, nRows).map((x) => (Number.isNaN(x) ? 0 : x));
      const by = round % 2 === 0 ? "mean" : "sum";
      const scores = kernels.scoreUnits(rows, units, by);
      const naive = naiveAllocate.scoreUnits(rows, units, by);
      scores.forEach((score, i) => expect(score).toBeCloseTo(naive[i] as number, 5));
      const hard = hardScores(rng, units.length / 2);
      const forced = rng.subset(nRows, rng.integer(0, Math.min(nRows, 6)));
      const budget = rng.integer(0, nRows + 5);
      const kept = kernels.selectUnits(hard, units, nRows, budget, forced, fill);
      const expected = naiveAllocate.selectUnits(hard, units, nRows, budget, forced, fill);
      expect([...kept], `round ${round}`).toEqual([...expected]);
    }
  });

  it("refuses bounds that go back or beyond the rows", () => {
    const select = (units: number[]) =>
      kernels.selectUnits(
        new Float32Array(2),
        Uint32Array.from(units),
        9,
        4,
        new Uint32Array(),
        "skip",
      );
    for (const units of [
      [0, 4, 3, 6],
      [0, 4, 4, 10],
      [0, 4, 5],
    ]) {
      expect(() => select(units)).toThrow(RangeError);
    }
  });
});

describe("scores without an engine", () => {
  it("normPrefix, randomScores, carry and perQuery equal the naive ones", () => {
    const rng = new Rng(24);
    for (let round = 0; round < 200; round++) {
      const n = rng.integer(0, 60);
      const weights = rng.uniforms(n, 0, 1);
      const [nFirst, threshold] = [rng.integer(0, 8), rng.uniform(0, 0.3)];
      expect(kernels.normPrefix(weights, nFirst, threshold)).toBe(
        naiveAllocate.normPrefix(weights, nFirst, threshold),
      );
      const seed = rng.next();
      expect(kernels.randomScores(n, seed, round)).toEqual(
        naiveAllocate.randomScores(n, seed, round),
      );
      const [old, now] = [rng.subset(90, rng.integer(0, 60)), rng.subset(90, n)];
      const oldSums = rng.uniforms(old.length, 0, 9);
      expect(kernels.carry(old, oldSums, now, weights)).toEqual(
        naiveAllocate.carry(old, oldSums, now, weights),
      );
      expect(kernels.perQuery(weights, now, 91, round)).toEqual(
        naiveAllocate.perQuery(weights, now, 91, round),
      );
    }
  });
});

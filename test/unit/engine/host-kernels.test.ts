// The host's kernels over the built WASM: the same rules as the naive versions below.
import { describe, expect, it } from "vitest";
import { instantiateKernels } from "../../../src/engine/wasm/instantiate.ts";
import { createHostKernels } from "../../../src/engine/wasm/select-kernels.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { readF32, readJson, readU8 } from "../../support/golden.ts";
import { Rng } from "../../support/rng.ts";

const module = await nodeRuntime.loadKernels("simd128");
const kernels = createHostKernels(module);

/** Indices by descending score, NaN last, -0 equal to +0; the sort is stable, which breaks ties. */
function ranking(scores: Float32Array): number[] {
  const rank = (score: number): number => (Number.isNaN(score) ? -Infinity : score);
  return [...scores.keys()].sort((a, b) => {
    const [x, y] = [scores[a] as number, scores[b] as number];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return rank(x) === rank(y) ? 0 : rank(y) - rank(x);
  });
}

function naiveSelect(scores: Float32Array, budget: number, forced: Uint32Array): number[] {
  const rest = ranking(scores).filter((row) => !forced.includes(row));
  const nRest = Math.max(0, budget - forced.length);
  return [...forced, ...rest.slice(0, nRest)].sort((a, b) => a - b);
}

/** Scores with ties, zeros of both signs, infinities and NaN. */
function hardScores(rng: Rng, n: number): Float32Array {
  const special = [0, -0, Infinity, -Infinity, NaN, 1, 1, 2];
  return Float32Array.from({ length: n }, () =>
    rng.uniform() < 0.6 ? (special[rng.integer(0, special.length)] as number) : rng.normal(),
  );
}

describe("select", () => {
  it("equals a stable sort on scores with ties, NaN and infinities", () => {
    const rng = new Rng(11);
    for (let round = 0; round < 300; round++) {
      const n = rng.integer(0, 60);
      const scores = hardScores(rng, n);
      const forced = rng.subset(n, rng.integer(0, Math.min(n, 8) + 1)).sort();
      const budget = rng.integer(0, n + 3);
      expect([...kernels.select(scores, budget, forced)]).toEqual(
        naiveSelect(scores, budget, forced),
      );
    }
  });

  it("equals a stable sort on 4,096 scores", () => {
    const scores = new Rng(12).uniforms(4096, 0, 1e-3);
    const forced = Uint32Array.from([0, 1, 2, 3, 4095]);
    const expected = naiveSelect(scores, 512, forced);
    expect([...kernels.select(scores, 512, forced)]).toEqual(expected);
  });

  it("keeps the forced rows above the budget", () => {
    const scores = Float32Array.from([3, 2, 1]);
    expect([...kernels.select(scores, 1, Uint32Array.from([1, 2]))]).toEqual([1, 2]);
    expect([...kernels.select(scores, 9, Uint32Array.from([1]))]).toEqual([0, 1, 2]);
  });

  it("refuses forced rows that are out of range, repeated or not ascending", () => {
    const scores = new Float32Array(4);
    for (const forced of [[4], [1, 1], [2, 1]]) {
      expect(() => kernels.select(scores, 2, Uint32Array.from(forced))).toThrow(RangeError);
    }
    expect(() => kernels.select(scores, -1, new Uint32Array())).toThrow(RangeError);
    expect(() => kernels.select(scores, 1.5, new Uint32Array())).toThrow(RangeError);
  });
});

describe("pool", () => {
  it("divides by the kernel at the edges too", () => {
    const scores = Float32Array.from([0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0]);
    const expected = [0.2, 0.2, 0.2, 0.2, 0.2, 0, 0.6, 0.6, 0.6, 0, 0, 0];
    expect([...kernels.pool(scores, 2, 5, "avg")]).toEqual(expected.map(Math.fround));
  });

  it("takes the largest within the row, negative ones as well", () => {
    const scores = Float32Array.from([-3, -2, -5, -1, -9, -9, -7, -9]);
    expect([...kernels.pool(scores, 2, 3, "max")]).toEqual([-2, -2, -1, -1, -9, -7, -7, -7]);
  });

  it("refuses an even kernel and a number of rows that does not divide", () => {
    expect(() => kernels.pool(new Float32Array(4), 1, 2, "avg")).toThrow(
      "Cannot pool scores: kernel must be odd, got 2",
    );
    expect(() => kernels.pool(new Float32Array(4), 3, 3, "avg")).toThrow(RangeError);
  });
});

describe("groupReduce", () => {
  const scores = Float32Array.from([1, 2, 3, 6, -1, -2, -3, 0]);

  it.each([
    ["mean", [2, 4, -2, -1]],
    ["max", [3, 6, -1, 0]],
    ["sum", [4, 8, -4, -2]],
  ] as const)("takes the %s over the query heads of each kv head", (by, expected) => {
    expect([...kernels.groupReduce(scores, 4, 2, by)]).toEqual(expected);
  });

  it("refuses groups that do not divide the heads", () => {
    expect(() => kernels.groupReduce(scores, 4, 3, "mean")).toThrow(RangeError);
  });
});

describe("topK", () => {
  it("equals a stable sort on logits with ties, NaN and infinities", () => {
    const rng = new Rng(13);
    for (let round = 0; round < 300; round++) {
      const logits = hardScores(rng, rng.integer(1, 60));
      const k = rng.integer(1, logits.length + 1);
      const top = kernels.topK(logits, k);
      const expected = ranking(logits).slice(0, k);
      expect([...top.tokens]).toEqual(expected);
      expect([...top.logits]).toEqual(expected.map((token) => logits[token]));
    }
  });

  it("equals a stable sort on 49,152 logits", () => {
    const logits = new Rng(14).normals(49_152, 4);
    expect([...kernels.topK(logits, 256).tokens]).toEqual(ranking(logits).slice(0, 256));
  });

  it("refuses a k outside the logits", () => {
    expect(() => kernels.topK(new Float32Array(3), 4)).toThrow(RangeError);
    expect(() => kernels.topK(new Float32Array(3), 0)).toThrow(RangeError);
  });
});

describe("softmax and logSumExp", () => {
  it("are within 3e-6 of each probability and 2e-7 of the logarithm, in f64", () => {
    const logits = new Rng(15).normals(49_152, 4);
    const max = Math.max(...logits);
    let sum = 0;
    for (const logit of logits) sum += Math.exp(logit - max);
    const probabilities = kernels.softmax(logits);
    let worst = 0;
    for (const [i, logit] of logits.entries()) {
      const expected = Math.exp(logit - max) / sum;
      worst = Math.max(worst, Math.abs((probabilities[i] as number) / expected - 1));
    }
    expect(worst).toBeLessThan(3e-6);
    expect(Math.abs(kernels.logSumExp(logits) - max - Math.log(sum))).toBeLessThan(2e-7);
  });

  it("have the same bits as on the host, without SIMD", () => {
    const rng = new Rng(21);
    // 24 bits of the upper half, as in rust-kernels/tests/gen.rs; every step rounds to f32.
    const logits = Float32Array.from({ length: 1021 }, () =>
      Math.fround(-20 + Math.fround(40 * ((rng.next() >>> 8) / 2 ** 24))),
    );
    let hash = 0x811c9dc5;
    for (const word of new Uint32Array(kernels.softmax(logits).buffer)) {
      hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
    }
    expect(hash).toBe(1_412_585_865);
  });

  it("give masked logits probability 0 and leave the input as it is", () => {
    const logits = Float32Array.from([-Infinity, 2, 2, -Infinity]);
    expect([...kernels.softmax(logits)]).toEqual([0, 0.5, 0.5, 0]);
    expect(kernels.logSumExp(logits)).toBeCloseTo(2 + Math.LN2, 7);
    expect([...logits]).toEqual([-Infinity, 2, 2, -Infinity]);
  });
});

it("results stay valid when later calls grow the memory", () => {
  const own = createHostKernels(module);
  const first = own.softmax(new Float32Array([0, 0]));
  for (const n of [100_000, 3, 1_000_000]) {
    const scores = new Float32Array(n).fill(1);
    expect(own.select(scores, 2, new Uint32Array())).toEqual(Uint32Array.from([0, 1]));
  }
  expect([...first]).toEqual([0.5, 0.5]);
});

interface GoldenBlocks {
  readonly ggml_type_id: number;
  readonly raw: { readonly file: string };
  readonly values: { readonly file: string };
}

/** rust-kernels/src/exports/quant.rs. */
interface QuantExports {
  readonly memory: WebAssembly.Memory;
  dequantize(type: number, blocks: number, n: number, out: number): number;
}

describe("dequantize", () => {
  const exports = instantiateKernels(module) as unknown as QuantExports;
  const at = exports.memory.grow(2) * 65_536;
  const golden = readJson<Record<string, GoldenBlocks>>("dequant/index.json");

  const types = Object.entries(golden).filter(([name]) => !/^(TQ|MXFP|IQ[123])/.test(name));
  it.each(types)("gives the golden %s bit for bit", (_, { ggml_type_id, raw, values }) => {
    const [blocks, weights] = [readU8(`dequant/${raw.file}`), readF32(`dequant/${values.file}`)];
    new Uint8Array(exports.memory.buffer, at).set(blocks);
    expect(exports.dequantize(ggml_type_id, at, weights.length, at + 65_536)).toBe(1);
    const got = new Uint32Array(exports.memory.buffer, at + 65_536, weights.length);
    expect(got).toEqual(new Uint32Array(weights.buffer));
  });

  it("refuses a type that it does not know", () => {
    expect(exports.dequantize(4, at, 32, at + 65_536)).toBe(0);
  });
});

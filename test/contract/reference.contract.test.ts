// The reference against a second implementation (test/support/naive.ts), so that nothing is compared
// with itself; the rest of the contract is what an engine can be held to alone.
import { describe, expect, it } from "vitest";
import type { AttendShape, RopeShape } from "../../src/engine/engine.ts";
import { decodeHalf, encodeHalf } from "../../src/engine/reference/half.ts";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { maxAbs, nmse } from "../support/matchers.ts";
import {
  naiveAttention,
  naiveMatVec,
  naiveProbabilities,
  naiveRmsNorm,
  naiveRope,
  type DenseAttention,
} from "../support/naive.ts";
import { hostHead } from "../support/random-rows.ts";
import { Rng, seedOf } from "../support/rng.ts";
import { engineInvariants } from "./engine.contract.ts";
import { ATTENTION_CASES, attentionCase, type AttentionCase } from "./engine/attention.ts";
import { gatherContract } from "./engine/rows.ts";
import { onEngine, type Rig } from "./rig.ts";

const engine = createReferenceEngine();
const EPS = 1e-5;

engineInvariants("reference", async () => createReferenceEngine());

const [nTokens, nRows, nCols] = [5, 11, 96];

function inputs(name: string): Record<"x" | "norm" | "a" | "b" | "bias" | "sum", Float32Array> {
  const rng = new Rng(seedOf(name));
  return {
    x: rng.normals(nTokens * nCols, 3),
    norm: rng.uniforms(nCols, 0.5, 1.5),
    a: rng.normals(nRows * nCols),
    b: rng.normals(nRows * nCols),
    bias: rng.normals(nRows),
    sum: rng.normals(nTokens * nRows),
  };
}

function weight(rig: Rig, values: Float32Array): ReturnType<Rig["weight"]> {
  return rig.weight("F32", nRows, nCols, new Uint8Array(values.buffer));
}

function perToken(x: Float32Array, visit: (token: Float32Array, i: number) => number[]): number[] {
  return Array.from({ length: nTokens }, (_, i) =>
    visit(x.subarray(i * nCols, (i + 1) * nCols), i),
  ).flat();
}

describe("reference against naive: projections (NMSE <= 1e-12)", () => {
  it("normProject: two projections, a bias on the second", async () => {
    const { x, norm, a, b, bias } = inputs("naive normProject");
    const actual = await onEngine(engine, async (rig) => {
      const out = rig.space(nTokens * nRows * 2);
      const projections = [
        { weight: weight(rig, a) },
        { weight: weight(rig, b), bias: rig.f32(bias) },
      ];
      rig.engine.normProject(out, rig.f32(x), rig.norm(norm, EPS), projections, nTokens);
      return rig.readF32(out);
    });
    const expected = perToken(x, (token) => {
      const normed = naiveRmsNorm(token, norm, EPS);
      const biased = naiveMatVec(b, normed).map((value, i) => value + (bias[i] ?? NaN));
      return [...naiveMatVec(a, normed), ...biased];
    });
    expect(nmse(actual, expected)).toBeLessThanOrEqual(1e-12);
  });

  for (const isNormed of [false, true]) {
    it(`projectAdd: ${isNormed ? "with" : "without"} post norm`, async () => {
      const { x, norm, a, sum } = inputs("naive projectAdd");
      const postNorm = norm.slice(0, nRows);
      const actual = await onEngine(engine, async (rig) => {
        const out = rig.f32(sum);
        const norms = isNormed ? [rig.norm(postNorm, EPS)] : [];
        rig.engine.projectAdd(out, rig.f32(x), weight(rig, a), nTokens, ...norms);
        return rig.readF32(out);
      });
      const expected = perToken(x, (token, i) => {
        const plain = naiveMatVec(a, token);
        const added = isNormed ? naiveRmsNorm(plain, postNorm, EPS) : plain;
        return Array.from(added, (value, row) => value + (sum[i * nRows + row] ?? NaN));
      });
      expect(nmse(actual, expected)).toBeLessThanOrEqual(1e-12);
    });
  }
});

describe("reference against naive: activations (NMSE <= 1e-12)", () => {
  const activations = {
    silu: (x: number) => x * 0.5 * (1 + Math.tanh(x / 2)),
    // tanh z = (e^2z - 1) / (e^2z + 1), so that 0.5 (1 + tanh z) = 1 / (1 + e^-2z).
    "gelu-tanh": (x: number) =>
      x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  };
  for (const [name, activate] of Object.entries(activations)) {
    it(`normGateUp: ${name}`, async () => {
      const { x, norm, a, b } = inputs(`naive normGateUp ${name}`);
      const small = norm.map((value) => value / 8);
      const actual = await onEngine(engine, async (rig) => {
        const out = rig.space(nTokens * nRows);
        const [gate, up] = [weight(rig, a), weight(rig, b)];
        const activation = name === "silu" ? "silu" : "gelu-tanh";
        rig.engine.normGateUp(out, rig.f32(x), rig.norm(small, EPS), gate, up, activation, nTokens);
        return rig.readF32(out);
      });
      const expected = perToken(x, (token) => {
        const normed = naiveRmsNorm(token, small, EPS);
        const up = naiveMatVec(b, normed);
        return Array.from(naiveMatVec(a, normed), (gate, i) => activate(gate) * (up[i] ?? NaN));
      });
      expect(nmse(actual, expected)).toBeLessThanOrEqual(1e-12);
    });
  }
});

describe("reference against naive: dense attention with masks", () => {
  function dense({ shape, rows, qkv, firstPosition, nQueries }: AttentionCase): DenseAttention {
    const { nHeads, nKvHeads, headDim, scale, window }: AttendShape = shape;
    const heads = rows.length.map((_, head) => hostHead(rows, head));
    const stride = (nHeads + 2 * nKvHeads) * headDim;
    return {
      ...{ nHeads, nKvHeads, headDim, scale },
      queries: qkv.filter((_, i) => i % stride < nHeads * headDim),
      keys: heads.map(({ keys }) => keys),
      values: heads.map(({ values }) => values),
      // By positions alone: rows of the future have larger ones.
      isVisible: (kvHead, query, key) => {
        const distance = firstPosition + query - (heads[kvHead]?.positions[key] ?? NaN);
        return query < nQueries && distance >= 0 && (window === 0 || distance < window);
      },
    };
  }

  for (const [name, options] of ATTENTION_CASES) {
    it(`attend and measureWindow: ${name} (NMSE <= 1e-12)`, async () => {
      const test = attentionCase(new Rng(seedOf(`naive ${name}`)), options);
      const { shape, rows, qkv, firstPosition, nQueries } = test;
      const nRows = Math.max(...rows.length);
      const [attended, window] = await onEngine(engine, async (rig) => {
        const [q, layer] = [rig.f32(qkv), rig.rows(rows)];
        const out = rig.space(nQueries * shape.nHeads * shape.headDim);
        const sums = rig.space(shape.nHeads * nRows);
        rig.engine.attend(out, q, layer, shape, firstPosition, nQueries);
        rig.engine.measureWindow(sums, q, layer, shape, firstPosition, nQueries);
        return [await rig.readF32(out), await rig.readF32(sums)] as const;
      });
      expect(nmse(attended, naiveAttention(dense(test)))).toBeLessThanOrEqual(1e-12);
      const expected = naiveProbabilities(dense(test)).flatMap((queries) =>
        Array.from({ length: nRows }, (_, row) =>
          queries.reduce((sum, weights) => sum + (weights[row] ?? 0), 0),
        ),
      );
      expect(nmse(window, expected)).toBeLessThanOrEqual(1e-12);
    });
  }
});

describe("reference against naive: rope by complex numbers (max abs <= 1e-6)", () => {
  const factors = Float32Array.from({ length: 40 }, (_, i) => 1 + i / 4);
  for (const ropeStyle of ["interleaved", "half"] as const) {
    for (const scaling of [{}, { scale: 8 }, { factors }]) {
      it(`${ropeStyle}, ${Object.keys(scaling)[0] ?? "plain"}`, async () => {
        const rng = new Rng(seedOf("naive rope"));
        const shape: RopeShape = { nHeads: 1, nKvHeads: 1, headDim: 80, ropeStyle };
        const [nTokens, first] = [3, 4000];
        const qkv = rng.normals(nTokens * 3 * 80);
        const actual = await onEngine(engine, async (rig) => {
          const [buffer, table] = [rig.f32(qkv), rig.space(nTokens * 80)];
          const empty = new Float32Array(nTokens * 80);
          const layer = {
            headDim: 80,
            length: [0],
            capacity: [nTokens],
            keys: empty,
            values: empty,
          };
          const rows = rig.rows({ ...layer, codec: "f32", positions: new Uint32Array(nTokens) });
          rig.engine.ropeTable(table, { base: 10000, headDim: 80, ...scaling }, first, nTokens);
          rig.engine.ropeAppend(buffer, rows, table, shape, first, nTokens);
          expect(Array.from((await rig.readRows(rows)).positions)).toEqual([4000, 4001, 4002]);
          return rig.readF32(buffer);
        });
        const frequency = (pair: number): number => {
          const divisor = "scale" in scaling ? 8 : "factors" in scaling ? (factors[pair] ?? 1) : 1;
          return Math.fround(Math.fround(10000 ** ((-2 * pair) / 80)) / divisor);
        };
        const expected = Array.from({ length: nTokens * 3 }, (_, i) => {
          const head = qkv.subarray(i * 80, (i + 1) * 80);
          return i % 3 === 2
            ? head
            : naiveRope(head, first + Math.floor(i / 3), frequency, ropeStyle);
        }).flatMap((head) => Array.from(head));
        expect(maxAbs(actual, expected)).toBeLessThanOrEqual(1e-6);
      });
    }
  }
});

describe("half", () => {
  it("encodeHalf(decodeHalf(bits)): every half but NaN comes back", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = decodeHalf(bits);
      if (!Number.isNaN(value)) expect(encodeHalf(value) === bits, `bits ${bits}`).toBe(true);
    }
    expect(Number.isNaN(decodeHalf(encodeHalf(NaN)))).toBe(true);
  });

  it("encodeHalf: between two halves the nearer one, midway the even one", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [decodeHalf(bits), decodeHalf(bits + 1)];
      const [quarter, middle] = [low + (high - low) / 4, (low + high) / 2];
      const codes = [quarter, middle, middle + (high - low) / 4].map(encodeHalf);
      const even = bits % 2 === 0 ? bits : bits + 1;
      const isRight = codes[0] === bits && codes[1] === even && codes[2] === bits + 1;
      expect(isRight, `bits ${bits}`).toBe(true);
    }
  });
});

describe("reference: gatherRows to and from codec q8", () => {
  gatherContract(() => ({ engine, oracle: engine, exact: engine }), ["q8", "f16", "f32"]);
});

describe("reference: limits", () => {
  it("alloc past maxBytes: out-of-memory with both numbers", () => {
    const small = createReferenceEngine({ maxBytes: 100 });
    small.alloc(60, "first");
    const isCode = expect.objectContaining({ code: "out-of-memory" });
    expect(() => small.alloc(64, "second")).toThrow(isCode);
    expect(() => small.createWeight("w", "F32", 8, 32)).toThrow(isCode);
    expect(() => small.alloc(64, "second")).toThrow(/40 bytes are available, got 64 bytes/);
    const memory = { bytes: 60, weightBytes: 0, peakBytes: 60, reservedBytes: 0, limitBytes: 100 };
    expect(small.memory()).toEqual(memory);
  });

  it("memory: exact bytes of buffers and GGUF blocks", () => {
    const fresh = createReferenceEngine();
    const buffer = fresh.alloc(100, "buffer");
    const weight = fresh.createWeight("w", "Q4_0", 3, 64);
    expect(fresh.memory()).toMatchObject({ bytes: 100 + 3 * 2 * 18, weightBytes: 108 });
    fresh.free(buffer);
    fresh.freeWeight(weight);
    expect(fresh.memory()).toMatchObject({ bytes: 0, weightBytes: 0, peakBytes: 208 });
  });

  it("dispose: gives everything back, refuses new work", () => {
    const fresh = createReferenceEngine();
    const buffer = fresh.alloc(100, "buffer");
    fresh.dispose();
    expect(fresh.memory().bytes).toBe(0);
    expect(() => fresh.write(buffer, 0, new Uint8Array(4))).toThrow(/after it was freed/);
    expect(() => fresh.alloc(4, "late")).toThrow(expect.objectContaining({ code: "disposed" }));
  });
});

// The oracle of eviction: attention over a compacted, ragged cache is attention over the full cache
// with the evicted keys masked out.
import { describe, expect, it } from "vitest";
import type { CodecName, Engine, LayerRows } from "../../../src/engine/engine.ts";
import { maxAbs } from "../../support/matchers.ts";
import { naiveAttention, naiveRope } from "../../support/naive.ts";
import { decodeRows, encodeRows } from "../../support/random-blocks.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { onEngine, type Rig } from "../rig.ts";

interface MaskCase {
  readonly codec: CodecName;
  readonly ropeStyle: "interleaved" | "half";
  readonly window: number;
  readonly headDim: number;
  /** Rows kept of the context, of each kv head; their number is the number of kv heads. */
  readonly keep: readonly Uint32Array[];
  /** f32[nContext + nNew, stride], before the rotation. */
  readonly qkv: Float32Array;
  readonly nContext: number;
  readonly nNew: number;
}

const N_CONTEXT = 61;
const N_GROUPS = 3;

/** The cases for one engine; `engine` is called inside the tests. */
export function denseMaskContract(engine: () => Engine): void {
  describe("gatherRows then attend: the evicted keys are masked", () => {
    for (const codec of ["f32", "f16"] as const) {
      for (const [phase, nNew] of [
        ["decode", 1],
        ["prefill", 9],
      ] as const) {
        for (const window of [0, 24]) {
          const name = `${phase}, ${codec}, window ${window}`;
          it(`${name} (max abs <= 1e-4)`, async () => {
            const rng = new Rng(seedOf(`dense mask ${name}`));
            for (const ropeStyle of ["interleaved", "half"] as const) {
              const test = maskCase(rng, { codec, ropeStyle, window, nNew });
              const actual = await onEngine(engine(), (rig) => compacted(rig, test));
              const expected = Float32Array.from(masked(test));
              expect(maxAbs(actual, expected), `seed ${rng.seed}`).toBeLessThanOrEqual(1e-4);
            }
          });
        }
      }
    }
  });
}

function maskCase(
  rng: Rng,
  options: Pick<MaskCase, "codec" | "ropeStyle" | "window" | "nNew">,
): MaskCase {
  const keep = [1, 20, 60].map((n) => rng.subset(N_CONTEXT, n));
  const headDim = 64;
  const stride = keep.length * (N_GROUPS + 2) * headDim;
  const qkv = rng.normals((N_CONTEXT + options.nNew) * stride);
  return { ...options, headDim, keep, nContext: N_CONTEXT, qkv };
}

/** Appends the context, evicts, appends the new tokens, attends. f32[nNew, nHeads, headDim]. */
async function compacted(rig: Rig, test: MaskCase): Promise<Float32Array> {
  const { codec, keep, headDim, nContext, nNew, qkv, ropeStyle, window } = test;
  const nKvHeads = keep.length;
  const [nHeads, capacity] = [nKvHeads * N_GROUPS, nContext + nNew];
  const empty = new Float32Array(nKvHeads * capacity * headDim).fill(NaN);
  const rows: LayerRows = rig.rows({
    ...{ codec, headDim, keys: empty, values: empty },
    length: keep.map(() => 0),
    capacity: keep.map(() => capacity),
    positions: new Uint32Array(nKvHeads * capacity),
  });
  const shape = { nHeads, nKvHeads, headDim };
  const stride = (nHeads + 2 * nKvHeads) * headDim;
  const append = (first: number, n: number): ReturnType<Rig["f32"]> => {
    const part = rig.f32(qkv.slice(first * stride, (first + n) * stride));
    const table = rig.space(n * headDim);
    rig.engine.ropeTable(table, { base: 10000, headDim }, first, n);
    rig.engine.ropeAppend(part, rows, table, { ...shape, ropeStyle }, first, n);
    return part;
  };
  append(0, nContext);
  rig.engine.gatherRows(rows, rows, keep);
  const queries = append(nContext, nNew);
  const out = rig.space(nNew * nHeads * headDim);
  const scale = 1 / Math.sqrt(headDim);
  rig.engine.attend(out, queries, rows, { ...shape, scale, window }, nContext, nNew);
  return rig.readF32(out);
}

/** The same by dense attention over everything, with a mask. */
function masked({
  codec,
  keep,
  headDim,
  nContext,
  nNew,
  qkv,
  ropeStyle,
  window,
}: MaskCase): Float64Array {
  const nKvHeads = keep.length;
  const nHeads = nKvHeads * N_GROUPS;
  const nAll = nHeads + 2 * nKvHeads;
  const frequency = (pair: number): number => Math.fround(10000 ** ((-2 * pair) / headDim));
  const head = (token: number, index: number): Float32Array => {
    const start = (token * nAll + index) * headDim;
    const plain = qkv.subarray(start, start + headDim);
    if (index >= nHeads + nKvHeads) return plain;
    return Float32Array.from(naiveRope(plain, token, frequency, ropeStyle));
  };
  const stored = (index: number): Float32Array => {
    const tokens = Array.from({ length: nContext + nNew }, (_, token) => [...head(token, index)]);
    return decodeRows(codec, encodeRows(codec, Float32Array.from(tokens.flat()), headDim), headDim);
  };
  const queries = Array.from({ length: nNew * nHeads }, (_, i) => [
    ...head(nContext + Math.floor(i / nHeads), i % nHeads),
  ]);
  return naiveAttention({
    ...{ nHeads, nKvHeads, headDim, scale: 1 / Math.sqrt(headDim) },
    queries: queries.flat(),
    keys: keep.map((_, kvHead) => stored(nHeads + kvHead)),
    values: keep.map((_, kvHead) => stored(nHeads + nKvHeads + kvHead)),
    isVisible: (kvHead, query, key) => {
      const isKept = key >= nContext || (keep[kvHead]?.includes(key) ?? false);
      const distance = nContext + query - key;
      return isKept && distance >= 0 && (window === 0 || distance < window);
    },
  });
}

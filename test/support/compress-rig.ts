// A compressor on the reference engine, with what prefill.ts does reduced to random q, k and v.
import { KvCache } from "../../src/cache/kv-cache.ts";
import { createCompressor } from "../../src/compress.ts";
import type { Method } from "../../src/compression/method.ts";
import type { Segment } from "../../src/compression/segments.ts";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import type { Budget, TurnPolicy } from "../../src/types.ts";
import { naiveSelect } from "./naive-select.ts";
import { Rng } from "./rng.ts";

export const N_HEADS = 4;
export const N_KV_HEADS = 2;
const HEAD_DIM = 8;
export const STRIDE = (N_HEADS + 2 * N_KV_HEADS) * HEAD_DIM;
export const HEADROOM = 4;
export const ROW_BYTES = 2 * HEAD_DIM * 4 + 4;
const shape = { nHeads: N_HEADS, nKvHeads: N_KV_HEADS, headDim: HEAD_DIM };

function config(windows: readonly number[]): ModelConfig {
  return {
    architecture: "llama",
    name: "double",
    nLayers: windows.length,
    hiddenSize: N_HEADS * HEAD_DIM,
    ffnSize: 64,
    ...shape,
    vocabSize: 100,
    contextLength: 1000,
    normEps: 1e-5,
    activation: "silu",
    ropeStyle: "half",
    attentionScale: HEAD_DIM ** -0.5,
    embeddingScale: 1,
    hasBias: false,
    hasQkNorm: false,
    hasPostNorm: false,
    isTied: true,
    layers: windows.map((window) => ({ window, rope: { base: 10000, headDim: HEAD_DIM } })),
  };
}

interface Setup {
  readonly method: Method;
  readonly budget?: Budget;
  /** Sliding window per layer, 0 for none. */
  readonly windows?: readonly number[];
  readonly turnPolicy?: TurnPolicy;
  /** Default true, as in sessions without a budget in bytes. */
  readonly canRestore?: boolean;
}

export function setUp({ method, budget, windows = [0, 0], turnPolicy, canRestore = true }: Setup) {
  const engine = createReferenceEngine();
  const cache = new KvCache(engine, {
    nLayers: windows.length,
    nKvHeads: N_KV_HEADS,
    headDim: HEAD_DIM,
    codec: "f32",
    headroom: HEADROOM,
    canRestore,
  });
  const compressor = createCompressor({
    engine,
    cache,
    method,
    budget,
    kernels: naiveSelect,
    config: config(windows),
    turnPolicy,
  });
  return { engine, cache, compressor, nLayers: windows.length };
}

export type Rig = ReturnType<typeof setUp>;

/** What prefill.ts does, on random q, k and v that depend on `seed`, layer and position alone. */
export async function prefill(
  rig: Rig,
  nTokens: number,
  options: {
    seed?: number;
    chunkSize?: number;
    marks?: readonly Segment[];
    isAllQueries?: boolean;
  } = {},
): Promise<void> {
  const { engine, cache, compressor } = rig;
  const { seed = 1, chunkSize = nTokens, marks = [] } = options;
  const firstPosition = cache.seen;
  compressor.planPrefill(nTokens, marks);
  for (let l = 0; l < rig.nLayers; l++) {
    const rows = cache.openLayer(l, nTokens, { compress: compressor.stages(l) });
    const qkv = engine.alloc(nTokens * STRIDE * 4, "test.qkv");
    const table = engine.alloc(nTokens * HEAD_DIM * 4, "test.rope");
    const values = new Rng(seed * 1000 + l * 100 + firstPosition).normals(nTokens * STRIDE, 1.5);
    engine.write(qkv, 0, new Uint8Array(values.buffer));
    engine.ropeTable(table, { base: 10000, headDim: HEAD_DIM }, firstPosition, nTokens);
    const slice = (first: number, n: number) =>
      engine.slice(qkv, first * STRIDE * 4, n * STRIDE * 4);
    for (let first = 0; first < nTokens; first += chunkSize) {
      const n = Math.min(chunkSize, nTokens - first);
      const angles = engine.slice(table, first * HEAD_DIM * 4, n * HEAD_DIM * 4);
      const rope = { ...shape, ropeStyle: "half" } as const;
      const position = firstPosition + first;
      engine.ropeAppend(slice(first, n), rows, angles, rope, position, n);
      const queries = { qkv: slice(first, n), table: angles, firstPosition: position, nTokens: n };
      compressor.chunk(l, queries);
    }
    const nQueries = options.isAllQueries === true ? nTokens : compressor.wantsQueries(l);
    const first = nTokens - nQueries;
    const queries = slice(first, nQueries);
    cache.closeLayer(
      l,
      await compressor.compressLayer(l, queries, firstPosition + first, nQueries),
    );
    engine.free(qkv);
    engine.free(table);
  }
  cache.advance(nTokens);
  compressor.finish();
  cache.releaseStaging();
}

/** Original positions by layer and head. */
export async function kept({ cache, nLayers }: Rig): Promise<number[][][]> {
  const layers = Array.from({ length: nLayers }, (_, l) => cache.keptPositions(l));
  return (await Promise.all(layers)).map((heads) => heads.map((positions) => [...positions]));
}

/** Softmax rows of the last `nQueries` queries by the definition: f64, per kv head, pooled. */
export async function naiveWindowScores(
  { engine, cache }: Rig,
  l: number,
  nTokens: number,
  nQueries: number,
  kernel: number,
): Promise<number[][]> {
  const rows = cache.layer(l);
  const bytes = await engine.read(rows.keys, 0, rows.keys.byteLength);
  const keys = new Float32Array(bytes.slice().buffer);
  const qkv = engine.alloc(nTokens * STRIDE * 4, "test.qkv");
  const table = engine.alloc(nTokens * HEAD_DIM * 4, "test.rope");
  const scratch = new KvCache(engine, { ...shape, nLayers: 1, codec: "f32", headroom: 0 });
  engine.write(
    qkv,
    0,
    new Uint8Array(new Rng(1000 + l * 100).normals(nTokens * STRIDE, 1.5).buffer),
  );
  engine.ropeTable(table, { base: 10000, headDim: HEAD_DIM }, 0, nTokens);
  const open = scratch.openLayer(0, nTokens, { compress: false });
  engine.ropeAppend(qkv, open, table, { ...shape, ropeStyle: "half" }, 0, nTokens);
  const queries = new Float32Array(
    (await engine.read(qkv, 0, nTokens * STRIDE * 4)).slice().buffer,
  );
  const sums = Array.from({ length: N_KV_HEADS }, () => new Array<number>(nTokens).fill(0));
  for (let head = 0; head < N_HEADS; head++) {
    const kvHead = Math.floor(head / (N_HEADS / N_KV_HEADS));
    for (let i = nTokens - nQueries; i < nTokens; i++) {
      const weights = Array.from({ length: i + 1 }, (_, j) => {
        let dot = 0;
        for (let c = 0; c < HEAD_DIM; c++) {
          const key = keys[((rows.start[kvHead] ?? 0) + j) * HEAD_DIM + c] as number;
          dot += (queries[i * STRIDE + head * HEAD_DIM + c] as number) * key;
        }
        return Math.exp(dot / Math.sqrt(HEAD_DIM));
      });
      const total = weights.reduce((a, b) => a + b, 0);
      const sum = sums[kvHead] as number[];
      weights.forEach((weight, j) => (sum[j] = (sum[j] as number) + weight / total));
    }
  }
  const reach = (kernel - 1) / 2;
  return sums.map((sum) => {
    const scored = sum.slice(0, nTokens - nQueries);
    return scored.map((_, j) =>
      scored.slice(Math.max(0, j - reach), j + reach + 1).reduce((a, b) => a + b, 0),
    );
  });
}

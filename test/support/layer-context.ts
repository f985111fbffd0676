// A layer as methods see it, made of plain arrays: no engine, no cache.
import { toKeepLists } from "../../src/compression/keep-lists.ts";
import type {
  LayerContext,
  Method,
  ModelMeta,
  RowSums,
  Signals,
} from "../../src/compression/method.ts";
import { fillSegments, type Segment } from "../../src/compression/segments.ts";
import { naiveSelect } from "./naive-select.ts";
import type { Rng } from "./rng.ts";

const HEAD_DIM = 8;

export interface LayerSetup {
  readonly nHeads: number;
  readonly nKvHeads: number;
  /** Rows per kv head. */
  readonly lengths: readonly number[];
  /** Rows that may stay per kv head. */
  readonly budget: readonly number[];
  /** f32[nHeads, longest]. */
  readonly sums?: Float32Array;
  /** Queries behind `sums`. Default 1. */
  readonly nQueries?: number;
  /** Besides the newest row. */
  readonly forced?: readonly number[];
  /** Besides those made of `sums`. */
  readonly signals?: Partial<Signals>;
}

export function modelMeta(nHeads: number, nKvHeads: number, nLayers = 1): ModelMeta {
  const layers = Array.from({ length: nLayers }, () => ({ window: 0, rope: { base: 10000 } }));
  return {
    nLayers,
    nHeads,
    nKvHeads,
    headDim: HEAD_DIM,
    attentionScale: 1 / Math.sqrt(HEAD_DIM),
    hasQkNorm: false,
    ropeStyle: "half",
    layers,
  };
}

export function layerContext(setup: LayerSetup): LayerContext {
  const { nHeads, nKvHeads, lengths, budget, forced = [], nQueries = 1 } = setup;
  const nRows = Math.max(...lengths);
  const sums = setup.sums ?? new Float32Array(nHeads * nRows);
  const measured: RowSums = { sums, nRows, nQueries };
  const signals: Partial<Signals> = {
    window: measured,
    lastRow: measured,
    colSum: measured,
    ...setup.signals,
  };
  return {
    phase: "prefill",
    layer: 0,
    model: modelMeta(nHeads, nKvHeads),
    sequence: { seen: 0, promptLength: nRows, segments: [] },
    rows: {
      length: Uint32Array.from(lengths),
      positions: lengths.map((length) => Uint32Array.from({ length }, (_, row) => row)),
    },
    budget: Uint32Array.from(budget),
    forced: lengths.map((length) =>
      Uint32Array.from(new Set([...forced.filter((row) => row < length), length - 1])).sort(),
    ),
    kernels: naiveSelect,
    state: null,
    signal(name) {
      const value = signals[name];
      if (value === undefined) throw new Error(`No ${name} in this double`);
      return value;
    },
  };
}

/** Kept rows per head, as the cache would get them, of a sequence that has just begun. */
export function keptRows(method: Method, context: LayerContext): number[][] {
  const own = { ...context, state: method.onSequence(context.sequence) };
  const mutations = method.onPrefillLayer?.(own) ?? [];
  const lists = toKeepLists(method, mutations, new Map([[context.layer, context]]));
  const all = context.rows.positions.map((positions) => positions.map((_, row) => row));
  return (lists.get(context.layer) ?? all).map((rows) => [...rows]);
}

/** Keys, values and query statistics, off centre and of head dimension 8. */
export function randomSignals(
  rng: Rng,
  { nHeads, lengths }: Pick<LayerSetup, "nHeads" | "lengths">,
): Partial<Signals> {
  const rows = () => lengths.map((length) => rng.uniforms(length * HEAD_DIM, -1, 2));
  const nRows = Math.max(...lengths);
  const covariance = new Float32Array(nHeads * HEAD_DIM ** 2);
  for (let head = 0; head < nHeads; head++) {
    // The product of a matrix with its transpose: symmetric and not negative.
    const m = rng.normals(HEAD_DIM ** 2, 0.3);
    for (let i = 0; i < HEAD_DIM; i++) {
      for (let j = 0; j < HEAD_DIM; j++) {
        let sum = 0;
        for (let c = 0; c < HEAD_DIM; c++) {
          sum += (m[i * HEAD_DIM + c] as number) * (m[j * HEAD_DIM + c] as number);
        }
        covariance[head * HEAD_DIM ** 2 + i * HEAD_DIM + j] = sum;
      }
    }
  }
  return {
    keys: rows(),
    keysRaw: rows(),
    values: rows(),
    queryStats: { mean: rng.normals(nHeads * HEAD_DIM), covariance, nQueries: nRows },
    valueOutputNorms: { norms: rng.uniforms(nHeads * nRows, 0.5, 2), nRows },
  };
}

/** Rows that look like attention: f32[nHeads, nRows], with ties, summing to `nQueries`. */
export function randomSums(
  rng: Rng,
  nHeads: number,
  nRows: number,
  nQueries: number,
): Float32Array {
  const sums = rng.uniforms(nHeads * nRows, 0, 1).map((x) => Math.round(x * 40) ** 2);
  for (let head = 0; head < nHeads; head++) {
    const row = sums.subarray(head * nRows, (head + 1) * nRows);
    const total = row.reduce((a, b) => a + b, 0) || 1;
    row.forEach((x, i) => (row[i] = (x / total) * nQueries));
  }
  return sums;
}

/** The same with the prompt's rows marked; the gaps are text. */
export function inSegments(context: LayerContext, marks: readonly Segment[]): LayerContext {
  const promptLength = context.rows.length[0] ?? 0;
  const segments = fillSegments(marks, 0, promptLength);
  return { ...context, sequence: { ...context.sequence, segments } };
}

// Statistics of rows for every engine: bindings over the host's kernels instance.
import type {
  FutureQueries,
  LagScores,
  LagShape,
  StatsKernels,
} from "../../compression/stats-kernels.ts";
import type { HostMemory } from "./host-memory.ts";

/** Numbers of the enumerations in rust-kernels/src/exports/stats.rs. */
const LAG_SCALES = { rank: 0, score: 1 } as const;
const ROPE_STYLES = { interleaved: 0, half: 1 } as const;

/** rust-kernels/src/exports/{stats,rope}.rs; pointers are byte offsets, lengths are elements. */
export interface StatsExports {
  row_norms(rows: number, nRows: number, headDim: number, out: number): void;
  key_diff(keys: number, nRows: number, headDim: number, anchor: number, out: number): void;
  lag_scores(
    keys: number,
    values: number,
    nRows: number,
    headDim: number,
    nSink: number,
    lagSize: number,
    scale: number,
    ranges: number,
    scores: number,
    order: number,
    out: number,
  ): number;
  expected_attention(
    keys: number,
    nRows: number,
    headDim: number,
    mean: number,
    covariance: number,
    hasCovariance: number,
    nGroups: number,
    frequencies: number,
    style: number,
    firstPosition: number,
    nFuture: number,
    scale: number,
    logits: number,
    out: number,
  ): void;
  weigh(scores: number, weights: number, n: number, epsilon: number): void;
  rope_frequencies(
    out: number,
    nPairs: number,
    base: number,
    scale: number,
    factors: number,
    nFactors: number,
  ): void;
}

export class WasmStatsKernels implements StatsKernels {
  readonly #exports: StatsExports;
  readonly #memory: HostMemory;

  constructor(exports: StatsExports, memory: HostMemory) {
    this.#exports = exports;
    this.#memory = memory;
  }

  rowNorms(rows: Float32Array, nRows: number): Float32Array {
    const headDim = widthOf("take norms", rows, nRows);
    const [from, to] = this.#memory.layOut([rows.byteLength, 4 * nRows]);
    this.#put(from, rows);
    this.#exports.row_norms(from, nRows, headDim, to);
    return this.#memory.f32(to, nRows).slice();
  }

  keyDiff(keys: Float32Array, nRows: number): Float32Array {
    const headDim = widthOf("compare keys", keys, nRows);
    const [from, anchor, to] = this.#memory.layOut([keys.byteLength, 8 * headDim, 4 * nRows]);
    this.#put(from, keys);
    this.#exports.key_diff(from, nRows, headDim, anchor, to);
    return this.#memory.f32(to, nRows).slice();
  }

  lag(keys: Float32Array, values: Float32Array, nRows: number, shape: LagShape): LagScores {
    const headDim = widthOf("score partitions", keys, nRows);
    const { nSink, lagSize, by } = shape;
    if (values.length !== keys.length || !(lagSize >= 1)) {
      throw new RangeError(
        `Cannot score partitions: a value per key and a lagSize >= 1 are needed, got ` +
          `${keys.length} and ${values.length} elements and lagSize ${lagSize}`,
      );
    }
    const bytes = keys.byteLength;
    const [keysAt, valuesAt, ranges, scores, order, to] = this.#memory.layOut([
      bytes,
      bytes,
      8 * headDim,
      4 * lagSize,
      8 * lagSize,
      4 * nRows,
    ]);
    this.#put(keysAt, keys);
    this.#put(valuesAt, values);
    const scale = LAG_SCALES[by];
    const rows = [keysAt, valuesAt, nRows, headDim] as const;
    const scratch = [ranges, scores, order] as const;
    const nTail = this.#exports.lag_scores(...rows, nSink, lagSize, scale, ...scratch, to);
    return { scores: this.#memory.f32(to, nRows).slice(), nTail };
  }

  expectedAttention(keys: Float32Array, nRows: number, queries: FutureQueries): Float32Array {
    const headDim = widthOf("expect attention", keys, nRows);
    if (nRows === 0) return new Float32Array(0);
    if (headDim % 4 !== 0) {
      throw new RangeError(
        `Cannot expect attention: headDim must be a multiple of 4, got ${headDim}`,
      );
    }
    const { mean, covariance, rope, ropeStyle, firstPosition, nFuture, scale } = queries;
    const factors = rope.factors ?? new Float32Array(0);
    const nGroups = mean.length / headDim;
    const nPairs = headDim / 2;
    const spread = covariance ?? new Float32Array(0);
    const [keysAt, meanAt, spreadAt, factorsAt, frequencies, logits, to] = this.#memory.layOut([
      keys.byteLength,
      mean.byteLength,
      spread.byteLength,
      factors.byteLength,
      4 * nPairs,
      4 * nRows,
      4 * nRows,
    ]);
    this.#put(keysAt, keys);
    this.#put(meanAt, mean);
    this.#put(spreadAt, spread);
    this.#put(factorsAt, factors);
    const { base, scale: divisor = 1 } = rope;
    this.#exports.rope_frequencies(frequencies, nPairs, base, divisor, factorsAt, factors.length);
    this.#exports.expected_attention(
      keysAt,
      nRows,
      headDim,
      meanAt,
      spreadAt,
      Number(covariance !== null),
      nGroups,
      frequencies,
      ROPE_STYLES[ropeStyle],
      firstPosition,
      nFuture,
      scale,
      logits,
      to,
    );
    return this.#memory.f32(to, nRows).slice();
  }

  weigh(scores: Float32Array, weights: Float32Array, epsilon: number): Float32Array {
    const n = scores.length;
    if (weights.length !== n) {
      throw new RangeError(
        `Cannot weigh ${n} scores: a weight each is needed, got ${weights.length}`,
      );
    }
    const [at, weightsAt] = this.#memory.layOut([scores.byteLength, weights.byteLength]);
    this.#put(at, scores);
    this.#put(weightsAt, weights);
    this.#exports.weigh(at, weightsAt, n, epsilon);
    return this.#memory.f32(at, n).slice();
  }

  #put(offset: number, values: Float32Array): void {
    this.#memory.f32(offset, values.length).set(values);
  }
}

/** Elements of a row; at least 1, so that no rows are no special case. */
function widthOf(action: string, rows: Float32Array, nRows: number): number {
  const width = nRows === 0 ? 1 : rows.length / nRows;
  if (!Number.isSafeInteger(nRows) || nRows < 0 || !Number.isSafeInteger(width)) {
    throw new RangeError(`Cannot ${action}: ${rows.length} elements are not ${nRows} equal rows`);
  }
  return width;
}

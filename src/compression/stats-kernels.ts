import type { LayerMeta, ModelMeta } from "./method.ts";

/**
 * What keys, values and queries say about the rows of one kv head, in Rust (rust-kernels/src/stats).
 * `rows`, `keys` and `values` are f32[nRows, headDim]; a result is a fresh f32[nRows].
 */
export interface StatsKernels {
  /** L2 norm of each row. */
  rowNorms(rows: Float32Array, nRows: number): Float32Array;
  /** Minus the cosine between each key and the mean of the normalised keys. */
  keyDiff(keys: Float32Array, nRows: number): Float32Array;
  /**
   * How much a row stands out in the ranges of the next partition: below 1; sinks and rows after the
   * last scored partition have 1. With fewer than two partitions by recency, and `nTail` is 0.
   */
  lag(keys: Float32Array, values: Float32Array, nRows: number, shape: LagShape): LagScores;
  /**
   * Mean over the query heads of the softmax of the logits that future queries are expected to give.
   * @throws {RangeError} headDim not a multiple of 4.
   */
  expectedAttention(keys: Float32Array, nRows: number, queries: FutureQueries): Float32Array;
  /** (scores[i] + epsilon) * weights[i]. */
  weigh(scores: Float32Array, weights: Float32Array, epsilon: number): Float32Array;
}

export interface LagShape {
  /** Rows before the first partition. */
  readonly nSink: number;
  /** Rows of a partition. */
  readonly lagSize: number;
  /** Comparison of rows in different partitions: by rank in their own, or by score. */
  readonly by: "rank" | "score";
}

export interface LagScores {
  readonly scores: Float32Array;
  /** Rows after the last scored partition. */
  readonly nTail: number;
}

/** Queries to come, as those seen before their rotation tell. */
export interface FutureQueries {
  /** f32[nGroups, headDim]: of each query head of the kv head. */
  readonly mean: Float32Array;
  /** f32[nGroups, headDim, headDim], symmetric; null: taken as 0. */
  readonly covariance: Float32Array | null;
  readonly rope: LayerMeta["rope"];
  readonly ropeStyle: ModelMeta["ropeStyle"];
  readonly firstPosition: number;
  /** How many positions, >= 1. */
  readonly nFuture: number;
  /** Of the attention's logits. */
  readonly scale: number;
}

/**
 * Scoring and selection arithmetic, in Rust (rust-kernels/src/{select,stats}). Host arrays in, host
 * arrays out; a result is a fresh array. Shapes are row-major.
 */
export interface SelectKernels {
  /** f32[nHeads, n] -> f32[nHeads / nGroups, n]: reduction over the query heads of a kv head. */
  groupReduce(scores: Float32Array, nHeads: number, nGroups: number, by: "mean" | "max" | "sum"): Float32Array;
  /** 1-D pooling of each of `nRows` rows, stride 1, odd `kernel`, methods.md 0.6. Same shape. */
  pool(scores: Float32Array, nRows: number, kernel: number, by: "avg" | "max"): Float32Array;
  /**
   * The select rule of methods.md 0.3: `forced` (ascending) plus the best of the rest, ties to the
   * lower index, NaN lowest, to `budget` in all (forced is hard). Returns ascending indices.
   */
  select(scores: Float32Array, budget: number, forced: Uint32Array): Uint32Array;
}

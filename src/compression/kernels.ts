import type { StatsKernels } from "./stats-kernels.ts";

/**
 * Scoring and selection arithmetic, in Rust (rust-kernels/src/{select,stats}). Host arrays in, host
 * arrays out; a result is a fresh array. Shapes are row-major.
 */
export interface SelectKernels {
  /** Scores from keys, values and queries. */
  readonly stats: StatsKernels;
  /** f32[nHeads, n] -> f32[nHeads / nGroups, n]: reduction over the query heads of a kv head. */
  groupReduce(
    scores: Float32Array,
    nHeads: number,
    nGroups: number,
    by: "mean" | "max" | "sum",
  ): Float32Array;
  /** 1-D pooling of each of `nRows` rows, stride 1, odd `kernel`, methods.md 0.6. Same shape. */
  pool(scores: Float32Array, nRows: number, kernel: number, by: "avg" | "max"): Float32Array;
  /**
   * The select rule of methods.md 0.3: `forced` (ascending) plus the best of the rest, ties to the
   * lower index, NaN lowest, to `budget` in all (forced is hard). Returns ascending indices.
   */
  select(scores: Float32Array, budget: number, forced: Uint32Array): Uint32Array;
  /**
   * u32[nLayers]: rows of one head in each layer, falling linearly from the first to the last.
   * @param rows `exact`: the sum over the layers. `rounded`: the mean, a real number.
   */
  pyramid(nLayers: number, rows: number, shape: PyramidShape): Uint32Array;
  /**
   * u32[nHeads]: `nFree` rows and the reserved ones divided among heads by where the highest scores
   * are; equal scores by row, then by head. Heads may be those of one layer or of all.
   * @param reserved Per head ascending rows that stay and do not compete.
   */
  split(
    scores: readonly Float32Array[],
    reserved: readonly Uint32Array[],
    nFree: number,
    rule: SplitRule,
  ): Uint32Array;
  /** f32[nUnits] of f32[n]; `units` u32[nUnits, 2] are rows [begin, end), ascending and apart. */
  scoreUnits(scores: Float32Array, units: Uint32Array, by: "sum" | "mean"): Float32Array;
  /**
   * Whole units by descending score, ties to the lower unit, while they fit; `forced` rows stay.
   * Where the next does not fit: `skip` it, `stop`, `exact`ly fill up with the first rows of the best
   * that did not fit, or take only as many as fit if all were the longest (`floor`).
   * Returns ascending rows, at most `budget` unless more are forced.
   */
  selectUnits(
    scores: Float32Array,
    units: Uint32Array,
    nRows: number,
    budget: number,
    forced: Uint32Array,
    fill: "skip" | "stop" | "exact" | "floor",
  ): Uint32Array;
  /**
   * Rows, the first `nFirst` and then newest to oldest, until what is missing of the norm of
   * `weights` is less than the share `threshold`.
   */
  normPrefix(weights: Float32Array, nFirst: number, threshold: number): number;
  /** f32[n], uniform in [0, 1), the same for the same `seed` and `stream` (u32) everywhere. */
  randomScores(n: number, seed: number, stream: number): Float32Array;
  /** `sums` plus the old sums of the rows that were there before; positions ascend. */
  carry(
    oldPositions: Uint32Array,
    oldSums: Float32Array,
    positions: Uint32Array,
    sums: Float32Array,
  ): Float32Array;
  /** `sums` divided by how many of the newest `nQueries` queries before `nextPosition` see the row. */
  perQuery(
    sums: Float32Array,
    positions: Uint32Array,
    nextPosition: number,
    nQueries: number,
  ): Float32Array;
}

export interface PyramidShape {
  /** `rounded`: kvpress's form, the window inside the slope, each layer rounded on its own. */
  readonly form: "exact" | "rounded";
  /** Rows before compression. */
  readonly nRows: number;
  /** Rows that every layer keeps. */
  readonly windowSize: number;
  /** The last layer gets 1 / beta of the mean. */
  readonly beta: number;
  /** Fewest rows of a layer, where the sum allows them; `exact` only. */
  readonly minRows: number;
}

/** What no head loses to the others. */
export interface SplitRule {
  /** Share of the mean, 0 to 1. */
  readonly alpha: number;
  /** `mixing`: the share is mixed into what the scores give. `safe`: it is a lower bound. */
  readonly guarantee: "mixing" | "safe";
}

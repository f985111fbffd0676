// Budgets of layers and heads, units of rows, and scores that need no engine: the part of the host's
// kernels that stands on rust-kernels/src/exports/allocate.rs.
import type { PyramidShape, SelectKernels, SplitRule } from "../../compression/kernels.ts";
import type { HostMemory } from "./host-memory.ts";

/** Numbers of the enumeration in rust-kernels/src/exports/allocate.rs. */
const FILLS = { skip: 0, stop: 1, exact: 2, floor: 3 } as const;

/** Pointers are byte offsets, lengths are elements. */
export interface AllocationExports {
  pyramid_exact(
    nLayers: number,
    total: number,
    low: number,
    nRows: number,
    window: number,
    beta: number,
    shares: number,
    high: number,
    out: number,
  ): void;
  pyramid_rounded(
    nLayers: number,
    mean: number,
    nRows: number,
    window: number,
    beta: number,
    out: number,
  ): void;
  split(
    nHeads: number,
    scores: number,
    nScores: number,
    lengths: number,
    reserved: number,
    nAllReserved: number,
    nReserved: number,
    nFree: number,
    alpha: number,
    isSafe: number,
    keys: number,
    shares: number,
    high: number,
    out: number,
  ): void;
  score_units(
    scores: number,
    n: number,
    bounds: number,
    nUnits: number,
    isMean: number,
    out: number,
  ): void;
  select_units(
    scores: number,
    bounds: number,
    nUnits: number,
    nRows: number,
    budget: number,
    forced: number,
    nForced: number,
    fill: number,
    order: number,
    isKept: number,
    out: number,
  ): number;
  norm_prefix(weights: number, n: number, nFirst: number, threshold: number): number;
  random_scores(seed: number, stream: number, n: number, out: number): void;
  carry(
    oldPositions: number,
    oldSums: number,
    nOld: number,
    positions: number,
    sums: number,
    n: number,
  ): void;
  per_query(
    sums: number,
    positions: number,
    n: number,
    nextPosition: number,
    nQueries: number,
  ): void;
}

type Names =
  | "pyramid"
  | "split"
  | "scoreUnits"
  | "selectUnits"
  | "normPrefix"
  | "randomScores"
  | "carry"
  | "perQuery";

export class AllocationKernels implements Pick<SelectKernels, Names> {
  readonly #exports: AllocationExports;
  readonly #memory: HostMemory;

  constructor(exports: AllocationExports, memory: HostMemory) {
    this.#exports = exports;
    this.#memory = memory;
  }

  pyramid(nLayers: number, rows: number, shape: PyramidShape): Uint32Array {
    const { form, nRows, windowSize, beta, minRows } = shape;
    const [shares, high, to] = this.#memory.layOut([8 * nLayers, 4 * nLayers, 4 * nLayers]);
    if (form === "exact") {
      this.#exports.pyramid_exact(
        nLayers,
        rows,
        minRows,
        nRows,
        windowSize,
        beta,
        shares,
        high,
        to,
      );
    } else {
      this.#exports.pyramid_rounded(nLayers, rows, nRows, windowSize, beta, to);
    }
    return this.#memory.u32(to, nLayers).slice();
  }

  split(
    scores: readonly Float32Array[],
    reserved: readonly Uint32Array[],
    nFree: number,
    { alpha, guarantee }: SplitRule,
  ): Uint32Array {
    const nHeads = scores.length;
    const lengths = Uint32Array.from(scores, (head) => head.length);
    reserved.forEach((rows, head) => checkRows("split rows", rows, lengths[head] ?? 0));
    const nReserved = Uint32Array.from(scores, (_, head) => reserved[head]?.length ?? 0);
    const nScores = sum(lengths);
    const nAll = sum(nReserved);
    const [from, lengthsAt, reservedAt, nReservedAt, keys, shares, high, to] = this.#memory.layOut([
      4 * nScores,
      4 * nHeads,
      4 * nAll,
      4 * nHeads,
      4 * nScores,
      8 * nHeads,
      4 * nHeads,
      4 * nHeads,
    ]);
    concat(this.#memory.f32(from, nScores), scores);
    concat(this.#memory.u32(reservedAt, nAll), reserved);
    this.#memory.u32(lengthsAt, nHeads).set(lengths);
    this.#memory.u32(nReservedAt, nHeads).set(nReserved);
    const isSafe = guarantee === "safe" ? 1 : 0;
    // prettier-ignore
    this.#exports.split(
      nHeads, from, nScores, lengthsAt, reservedAt, nAll, nReservedAt, nFree, alpha, isSafe,
      keys, shares, high, to,
    );
    return this.#memory.u32(to, nHeads).slice();
  }

  scoreUnits(scores: Float32Array, units: Uint32Array, by: "sum" | "mean"): Float32Array {
    const nUnits = checkUnits(units, scores.length);
    const [from, bounds, to] = this.#memory.layOut([
      scores.byteLength,
      units.byteLength,
      4 * nUnits,
    ]);
    this.#memory.f32(from, scores.length).set(scores);
    this.#memory.u32(bounds, units.length).set(units);
    const isMean = by === "mean" ? 1 : 0;
    this.#exports.score_units(from, scores.length, bounds, nUnits, isMean, to);
    return this.#memory.f32(to, nUnits).slice();
  }

  selectUnits(
    scores: Float32Array,
    units: Uint32Array,
    nRows: number,
    budget: number,
    forced: Uint32Array,
    fill: keyof typeof FILLS,
  ): Uint32Array {
    const nUnits = checkUnits(units, nRows);
    checkRows("select units", forced, nRows);
    const limit = Math.min(budget, nRows);
    const capacity = Math.max(limit, forced.length);
    const [from, bounds, forcedAt, order, isKept, to] = this.#memory.layOut([
      4 * nUnits,
      units.byteLength,
      forced.byteLength,
      4 * nUnits,
      4 * nRows,
      4 * capacity,
    ]);
    this.#memory.f32(from, nUnits).set(scores);
    this.#memory.u32(bounds, units.length).set(units);
    this.#memory.u32(forcedAt, forced.length).set(forced);
    // prettier-ignore
    const nKept = this.#exports.select_units(
      from, bounds, nUnits, nRows, limit, forcedAt, forced.length, FILLS[fill], order, isKept, to,
    );
    return this.#memory.u32(to, nKept).slice();
  }

  normPrefix(weights: Float32Array, nFirst: number, threshold: number): number {
    const [from] = this.#memory.layOut([weights.byteLength]);
    this.#memory.f32(from, weights.length).set(weights);
    return this.#exports.norm_prefix(from, weights.length, nFirst, threshold);
  }

  randomScores(n: number, seed: number, stream: number): Float32Array {
    const [to] = this.#memory.layOut([4 * n]);
    this.#exports.random_scores(seed, stream, n, to);
    return this.#memory.f32(to, n).slice();
  }

  carry(
    oldPositions: Uint32Array,
    oldSums: Float32Array,
    positions: Uint32Array,
    sums: Float32Array,
  ): Float32Array {
    const [nOld, n] = [oldPositions.length, positions.length];
    const [oldAt, oldSumsAt, at, to] = this.#memory.layOut([4 * nOld, 4 * nOld, 4 * n, 4 * n]);
    this.#memory.u32(oldAt, nOld).set(oldPositions);
    this.#memory.f32(oldSumsAt, nOld).set(oldSums);
    this.#memory.u32(at, n).set(positions);
    this.#memory.f32(to, n).set(sums);
    this.#exports.carry(oldAt, oldSumsAt, nOld, at, to, n);
    return this.#memory.f32(to, n).slice();
  }

  perQuery(
    sums: Float32Array,
    positions: Uint32Array,
    nextPosition: number,
    nQueries: number,
  ): Float32Array {
    const n = positions.length;
    const [to, at] = this.#memory.layOut([4 * n, 4 * n]);
    this.#memory.f32(to, n).set(sums);
    this.#memory.u32(at, n).set(positions);
    this.#exports.per_query(to, at, n, nextPosition, nQueries);
    return this.#memory.f32(to, n).slice();
  }
}

function sum(counts: Uint32Array): number {
  return counts.reduce((all, n) => all + n, 0);
}

function concat<T extends Float32Array | Uint32Array>(to: T, parts: readonly T[]): void {
  let at = 0;
  for (const part of parts) {
    to.set(part, at);
    at += part.length;
  }
}

/** A row outside its array would reach beyond it, a repeated one miscount the kept. */
export function checkRows(action: string, rows: Uint32Array, n: number): void {
  let previous = -1;
  for (const row of rows) {
    if (row <= previous || row >= n) {
      throw new RangeError(
        `Cannot ${action}: forced must ascend and stay below ${n}, got ${row} after ${previous}`,
      );
    }
    previous = row;
  }
}

/** How many units. */
function checkUnits(units: Uint32Array, nRows: number): number {
  let previous = 0;
  for (const [i, edge] of units.entries()) {
    if (edge < previous || edge > nRows) {
      throw new RangeError(
        `Cannot use units: bounds must ascend to ${nRows} at most, got ${edge} at ${i}`,
      );
    }
    previous = edge;
  }
  if (units.length % 2 !== 0) {
    throw new RangeError(`Cannot use units: bounds come in pairs, got ${units.length}`);
  }
  return units.length / 2;
}

// Scoring, selection and sampling arithmetic for every engine: a small kernels instance of its own,
// with host arrays in and out. What runs here is the same bits in every runtime.
import type { SelectKernels } from "../../compression/kernels.ts";
import type { SampleKernels } from "../../sampler/kernels.ts";
import type { RopeFrequencies } from "../engine.ts";
import { type AllocationExports, AllocationKernels, checkRows } from "./allocation-kernels.ts";
import { HostMemory } from "./host-memory.ts";
import { instantiateKernels } from "./instantiate.ts";
import { type StatsExports, WasmStatsKernels } from "./stats-kernels.ts";

/** Numbers of the enumerations in rust-kernels/src/exports/select.rs. */
const GROUP_REDUCTIONS = { mean: 0, max: 1, sum: 2 } as const;
const POOLINGS = { avg: 0, max: 1 } as const;

/** rust-kernels/src/exports/{select,sample}.rs; pointers are byte offsets, lengths are elements. */
interface HostExports extends AllocationExports, StatsExports {
  readonly memory: WebAssembly.Memory;
  group_reduce(
    scores: number,
    nHeads: number,
    nGroups: number,
    n: number,
    by: number,
    out: number,
  ): void;
  pool(scores: number, nRows: number, n: number, kernel: number, by: number, out: number): void;
  select(
    scores: number,
    n: number,
    budget: number,
    forced: number,
    nForced: number,
    keys: number,
    out: number,
  ): number;
  top_k_logits(logits: number, n: number, k: number, heap: number, tokens: number): void;
  softmax(x: number, n: number): void;
  log_sum_exp(x: number, n: number): number;
  rope_frequencies(
    out: number,
    nPairs: number,
    base: number,
    scale: number,
    factors: number,
    nFactors: number,
  ): void;
}

/** The part of an engine's arithmetic that runs on the host whichever engine it is. */
export interface RopeKernels {
  /** f32[headDim / 2], radians a position. */
  ropeFrequencies(frequencies: RopeFrequencies): Float32Array;
}

/** Makes the kernels that compression and sampling use, whichever engine runs the model. */
export function createHostKernels(
  module: WebAssembly.Module,
): SelectKernels & SampleKernels & RopeKernels {
  return new HostKernels(instantiateKernels(module) as unknown as HostExports);
}

class HostKernels extends AllocationKernels implements SelectKernels, SampleKernels, RopeKernels {
  readonly stats: WasmStatsKernels;
  readonly #exports: HostExports;
  readonly #memory: HostMemory;

  constructor(exports: HostExports) {
    const memory = new HostMemory(exports.memory);
    super(exports, memory);
    this.#exports = exports;
    this.#memory = memory;
    this.stats = new WasmStatsKernels(exports, memory);
  }

  groupReduce(
    scores: Float32Array,
    nHeads: number,
    nGroups: number,
    by: keyof typeof GROUP_REDUCTIONS,
  ): Float32Array {
    const n = rowLength("reduce groups", scores, nHeads);
    if (!isCount(nGroups) || nHeads % nGroups !== 0) {
      throw new RangeError(
        `Cannot reduce groups: nGroups must divide the ${nHeads} heads, got ${nGroups}`,
      );
    }
    const outLength = scores.length / nGroups;
    const [from, to] = this.#memory.layOut([scores.byteLength, 4 * outLength]);
    this.#memory.f32(from, scores.length).set(scores);
    this.#exports.group_reduce(from, nHeads, nGroups, n, GROUP_REDUCTIONS[by], to);
    return this.#memory.f32(to, outLength).slice();
  }

  pool(
    scores: Float32Array,
    nRows: number,
    kernel: number,
    by: keyof typeof POOLINGS,
  ): Float32Array {
    const n = rowLength("pool scores", scores, nRows);
    if (!isCount(kernel) || kernel % 2 === 0) {
      throw new RangeError(`Cannot pool scores: kernel must be odd, got ${kernel}`);
    }
    const [from, to] = this.#memory.layOut([scores.byteLength, scores.byteLength]);
    this.#memory.f32(from, scores.length).set(scores);
    this.#exports.pool(from, nRows, n, kernel, POOLINGS[by], to);
    return this.#memory.f32(to, scores.length).slice();
  }

  select(scores: Float32Array, budget: number, forced: Uint32Array): Uint32Array {
    const n = scores.length;
    checkSelection(n, budget, forced);
    const capacity = Math.min(n, Math.max(budget, forced.length));
    const [from, forcedAt, keys, to] = this.#memory.layOut([
      4 * n,
      forced.byteLength,
      4 * n,
      4 * capacity,
    ]);
    this.#memory.f32(from, n).set(scores);
    this.#memory.u32(forcedAt, forced.length).set(forced);
    const limit = Math.min(budget, n);
    const nKept = this.#exports.select(from, n, limit, forcedAt, forced.length, keys, to);
    return this.#memory.u32(to, nKept).slice();
  }

  ropeFrequencies({ base, headDim, scale = 1, factors }: RopeFrequencies): Float32Array {
    const n = headDim / 2;
    const [to, divisors] = this.#memory.layOut([4 * n, 4 * n]);
    if (factors !== undefined) this.#memory.f32(divisors, n).set(factors);
    const nFactors = factors === undefined ? 0 : n;
    this.#exports.rope_frequencies(to, n, base, scale, divisors, nFactors);
    return this.#memory.f32(to, n).slice();
  }

  softmax(logits: Float32Array): Float32Array {
    const at = this.#put(logits);
    this.#exports.softmax(at, logits.length);
    return this.#memory.f32(at, logits.length).slice();
  }

  topK(logits: Float32Array, k: number): { tokens: Uint32Array; logits: Float32Array } {
    const n = logits.length;
    if (!isCount(k) || k > n) {
      throw new RangeError(`Cannot take the top k: k must be from 1 to ${n}, got ${k}`);
    }
    const [from, heap, to] = this.#memory.layOut([4 * n, 8 * k, 4 * k]);
    this.#memory.f32(from, n).set(logits);
    this.#exports.top_k_logits(from, n, k, heap, to);
    const tokens = this.#memory.u32(to, k).slice();
    return { tokens, logits: Float32Array.from(tokens, (token) => logits[token] as number) };
  }

  logSumExp(logits: Float32Array): number {
    return this.#exports.log_sum_exp(this.#put(logits), logits.length);
  }

  #put(values: Float32Array): number {
    const [at] = this.#memory.layOut([values.byteLength]);
    this.#memory.f32(at, values.length).set(values);
    return at;
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function rowLength(action: string, scores: Float32Array, nRows: number): number {
  if (!isCount(nRows) || scores.length % nRows !== 0) {
    throw new RangeError(
      `Cannot ${action}: ${scores.length} scores are not a multiple of the rows, got ${nRows} rows`,
    );
  }
  return scores.length / nRows;
}

function checkSelection(n: number, budget: number, forced: Uint32Array): void {
  if (!Number.isSafeInteger(budget) || budget < 0) {
    throw new RangeError(`Cannot select rows: budget must be a count of rows, got ${budget}`);
  }
  checkRows("select rows", forced, n);
}

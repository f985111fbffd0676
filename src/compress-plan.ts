// Decides, from lengths and options alone, which layers a method runs on, with which budget, and when
// a session must make room. Nothing is measured or moved here. Used by compress.ts.
import type { KvCache } from "./cache/kv-cache.ts";
import { codecs, rowByteLength } from "./cache/layout.ts";
import { planBudget } from "./compression/budget.ts";
import type { SelectKernels } from "./compression/kernels.ts";
import type { Method, SequenceMeta } from "./compression/method.ts";
import { forcedCount, questionLength, type Segment } from "./compression/segments.ts";
import { measureByteLength } from "./measure.ts";
import { stepByteLength } from "./measure-step.ts";
import type { ModelConfig } from "./model/config.ts";
import { F32_BYTES, qkvStride } from "./read-signals.ts";
import type { Budget, TurnPolicy } from "./types.ts";

// The window of a method that asks for the prompt's question.
const MAX_SUFFIX = 64;
const DEFAULT_SUFFIX = 32;

/** What makes a session compress before it fails. */
export type OverflowCause = "context" | "bytes" | "tokens";

export interface PlanRequest {
  /** Rows of each layer's heads before compression, the prompt included. */
  readonly lengths: readonly Uint32Array[];
  /** Tokens seen, the prompt included. */
  readonly nTokens: number;
  readonly segments: readonly Segment[];
  /** Bytes that are held beside rows while a layer is compressed. */
  readonly scratchBytes: number;
}

export interface PlannerOptions {
  readonly cache: KvCache;
  readonly method: Method;
  readonly budget?: Budget | undefined;
  readonly config: ModelConfig;
  readonly kernels: SelectKernels;
  readonly turnPolicy?: TurnPolicy | undefined;
}

export class Planner {
  readonly turnPolicy: TurnPolicy;
  readonly #cache: KvCache;
  readonly #method: Method;
  readonly #budget: Budget | undefined;
  readonly #config: ModelConfig;
  readonly #kernels: SelectKernels;

  constructor({ cache, method, budget, config, kernels, turnPolicy }: PlannerOptions) {
    this.turnPolicy = turnPolicy ?? (method.schedule.everySteps > 0 ? "each" : "first");
    this.#cache = cache;
    this.#method = method;
    this.#budget = budget;
    this.#config = config;
    this.#kernels = kernels;
  }

  /** Whether a prompt is compressed, as far as turns go. A budget in bytes holds at every turn. */
  isDue(seen: number): boolean {
    const isBytes = this.#budget !== undefined && "bytes" in this.#budget;
    return seen === 0 || this.turnPolicy === "each" || isBytes;
  }

  /** Sliding-window layers are bounded by themselves: the method leaves their rows alone. */
  evicts(l: number): boolean {
    const { layers } = this.#config;
    return layers[l]?.window === 0 && this.#method.skips?.(l, this.#config) !== true;
  }

  /** Whether the method is asked about a layer with heads of these lengths. */
  runs(l: number, length: Uint32Array, budget: Uint32Array | undefined): boolean {
    const { schedule, capabilities } = this.#method;
    if (schedule.prefill === "never" || !this.evicts(l)) return false;
    // One row is the newest: nothing to choose.
    if (!length.some((n) => n > 1)) return false;
    if (capabilities.budget !== "required") return true;
    if (this.#budget === undefined) return false;
    return this.evictsSteps() || length.some((n, h) => n > (budget?.[h] ?? n));
  }

  /** Whether the method drops rows in decode: then it observes prompts that fit, too. */
  evictsSteps(): boolean {
    const { schedule } = this.#method;
    const keepsAll = this.#budget !== undefined && "keep" in this.#budget && this.#budget.keep >= 1;
    return schedule.everySteps > 0 && !keepsAll;
  }

  /** u32[nLayers][nKvHeads]: rows that may stay. */
  budget({ lengths, nTokens, segments, scratchBytes }: PlanRequest): Uint32Array[] {
    const longest = Math.max(0, ...lengths.flatMap((length) => [...length]));
    const isBytes = this.#budget !== undefined && "bytes" in this.#budget;
    return planBudget({
      kernels: this.#kernels,
      budget: this.#budget,
      nRows: isBytes ? longest : nTokens,
      nKvHeads: this.#config.nKvHeads,
      evicts: this.#config.layers.map((_, l) => this.evicts(l)),
      minRows: Math.max(this.#method.minRows, forcedCount(segments)),
      isShared: !this.#method.capabilities.raggedHeads,
      cost: {
        rowBytes: this.#rowBytes(),
        headroom: this.#cache.headroom,
        scratchBytes,
        growthBytes: this.#oldBytes(),
      },
      allocator: this.#method.allocator,
    });
  }

  /** The same after an overflow: what is left lets the session go on. */
  smallBudget(request: PlanRequest): Uint32Array[] {
    const nTokens = Math.min(request.nTokens, this.#config.contextLength);
    const planned = this.budget({ ...request, nTokens });
    return planned.map((rows, l) => rows.map((n) => Math.min(n, this.overflowRows(l))));
  }

  /** The same in decode: `{ keep }` of the prompt, `{ tokens }` and `{ bytes }` however long it gets. */
  stepBudget({ seen, promptLength, segments }: SequenceMeta): Uint32Array[] {
    const { layers, nKvHeads, contextLength } = this.#config;
    const isKeep = this.#budget === undefined || "keep" in this.#budget;
    const held = layers.map((_, l) => this.#cache.layer(l).length);
    return this.budget({
      lengths: layers.map(() => new Uint32Array(nKvHeads).fill(contextLength)),
      nTokens: isKeep ? seen + promptLength : contextLength,
      segments,
      scratchBytes: this.scratchBytes(held, 1),
    });
  }

  /** Rows of a layer beyond that: `{ keep }` speaks of the prompt, generated rows come on top. */
  stepExtra({ nGenerated = 0 }: SequenceMeta): number {
    const isKeep = this.#budget === undefined || "keep" in this.#budget;
    return isKeep ? nGenerated * this.#config.nKvHeads : 0;
  }

  /** Rows per head that may stay after an overflow, so that there is room to go on. */
  overflowRows(l: number): number {
    const { layers, contextLength } = this.#config;
    const half = Math.max(1, Math.floor(contextLength / 2));
    const window = layers[l]?.window ?? 0;
    return window > 0 ? window : half;
  }

  /** Staging, signals, and the old buffers of a layer while its new ones are filled. */
  scratchBytes(lengths: readonly Uint32Array[], nQueries: number): number {
    const { needs } = this.#method;
    const config = this.#config;
    const stagedBytes = rowByteLength(codecs[this.#cache.codec].staging, this.#cache.headDim);
    const sums = lengths.map((length) => length.reduce((sum, n) => sum + n, 0));
    const longest = Math.max(0, ...lengths.flatMap((length) => [...length]));
    return (
      Math.max(0, ...sums) * stagedBytes +
      measureByteLength(needs, config, longest) +
      nQueries * qkvStride(config) * F32_BYTES +
      (this.evictsSteps() ? stepByteLength(needs.decode, config, longest) : 0) +
      this.#oldBytes()
    );
  }

  /** Queries of the signal `window`: at least one row is left, and only this prompt's exist. */
  windowSize(
    segments: readonly Segment[],
    nTokens: number,
    lengths: readonly Uint32Array[],
  ): number {
    const { needs } = this.#method;
    if (!needs.prefill.includes("window")) return 0;
    const shortest = Math.min(...lengths.flatMap((length) => [...length]));
    const question = Math.min(questionLength(segments), MAX_SUFFIX);
    const wanted = needs.window === "suffix" ? question || DEFAULT_SUFFIX : (needs.window ?? 1);
    return Math.max(1, Math.min(wanted, nTokens, shortest - 1));
  }

  /** Tokens to read again when rows are dropped without a prompt, so that there are queries. */
  nReread(): number {
    const { needs } = this.#method;
    if (!needs.prefill.includes("window")) return 1;
    return needs.window === "suffix" ? DEFAULT_SUFFIX : (needs.window ?? 1);
  }

  /** Why `nMore` tokens cannot be read as things are; null: they can. */
  overflow(nMore: number): OverflowCause | null {
    const cache = this.#cache;
    const { contextLength, layers } = this.#config;
    const spans = layers.map(({ window }, l) => (window > 0 ? 0 : cache.span(l)));
    if (Math.max(0, ...spans) + nMore > contextLength) return "context";
    const budget = this.#budget;
    if (budget === undefined || "keep" in budget || nMore > 1 || this.evictsSteps()) return null;
    if ("bytes" in budget) return this.#growsBeyond(budget.bytes) ? "bytes" : null;
    if (this.turnPolicy === "first") return null;
    const isLong = layers.some(
      (_, l) =>
        this.evicts(l) && cache.layer(l).length.some((n) => n >= budget.tokens + cache.headroom),
    );
    return isLong ? "tokens" : null;
  }

  /** Whether room for another token would leave too few bytes to compress later. */
  #growsBeyond(bytes: number): boolean {
    const cache = this.#cache;
    const { layers, nKvHeads } = this.#config;
    const all = layers.map((_, l) => cache.layer(l));
    const isFull = all.some(({ length, capacity }) =>
      length.some((n, head) => n >= (capacity[head] ?? 0)),
    );
    if (!isFull) return false;
    const growth = layers.length * nKvHeads * cache.headroom * this.#rowBytes();
    const grown = all.map(({ length }) => length.map((n) => n + cache.headroom));
    const scratch = this.scratchBytes(grown, this.nReread());
    return cache.usage().bytes + growth + scratch > bytes;
  }

  #oldBytes(): number {
    return Math.max(0, ...this.#cache.usage().perLayer.map((layer) => layer.bytes));
  }

  #rowBytes(): number {
    return rowByteLength(this.#cache.codec, this.#cache.headDim);
  }
}

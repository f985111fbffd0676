// Decides, from lengths and options alone, which layers a method runs on, with which budget, and when
// a session must make room. Nothing is measured or moved here. Used by compress.ts.
import type { KvCache } from "./cache/kv-cache.ts";
import { codecs, rowByteLength } from "./cache/layout.ts";
import { planBudget } from "./compression/budget.ts";
import type { SelectKernels } from "./compression/kernels.ts";
import type { Method, SequenceMeta } from "./compression/method.ts";
import { forcedCount, questionLength, type Segment } from "./compression/segments.ts";
import { measureByteLength } from "./signals/measure.ts";
import { stepByteLength } from "./signals/measure-step.ts";
import type { ModelConfig } from "./model/config.ts";
import { F32_BYTES, qkvStride } from "./signals/read-signals.ts";
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
  /** Tokens that the last call of `overflow` asked about. */
  #nWanted = 1;

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
    return seen === 0 || this.turnPolicy === "each" || this.#isBytes();
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
  budget(request: PlanRequest, canStay = true): Uint32Array[] {
    const planned = this.#plan(request, canStay);
    if (!this.#isBytes()) return planned;
    // What is left must fit beside the work of dropping more, once the headroom is used.
    const later = this.#laterBytes(this.#leftRows(planned, request.lengths));
    if (later <= request.scratchBytes) return planned;
    return this.#plan({ ...request, scratchBytes: later }, canStay);
  }

  /** @param canStay Everything may, where it fits. */
  #plan(
    { lengths, nTokens, segments, scratchBytes }: PlanRequest,
    canStay: boolean,
  ): Uint32Array[] {
    const longest = Math.max(0, ...lengths.flatMap((length) => [...length]));
    const others = lengths.map((length, l) =>
      this.evicts(l) ? 0 : length.reduce((sum, n) => sum + Math.min(n, this.staysRows(l)), 0),
    );
    return planBudget({
      kernels: this.#kernels,
      budget: this.#budget,
      nRows: this.#isBytes() ? longest : nTokens,
      nKvHeads: this.#config.nKvHeads,
      evicts: this.#config.layers.map((_, l) => this.evicts(l)),
      otherRows: others.reduce((sum, n) => sum + n, 0),
      minRows: Math.max(this.#method.minRows, forcedCount(segments)),
      isShared: !this.#method.capabilities.raggedHeads,
      cost: {
        rowBytes: this.#rowBytes(),
        headroom: this.#cache.headroom,
        scratchBytes,
        growthBytes: canStay ? this.#laterBytes(lengths) : Infinity,
      },
      allocator: this.#method.allocator,
    });
  }

  #leftRows(planned: readonly Uint32Array[], lengths: readonly Uint32Array[]): Uint32Array[] {
    return lengths.map((length, l) =>
      length.map((n, head) => Math.min(n, planned[l]?.[head] ?? n, this.staysRows(l))),
    );
  }

  /** The same after an overflow: what is left lets the session go on. */
  smallBudget(request: PlanRequest, cause: OverflowCause): Uint32Array[] {
    const { headroom } = this.#cache;
    const nMore = this.#isBytes() ? Math.max(this.#nWanted, headroom) : 0;
    const later = request.lengths.map((length) => length.map((n) => n + nMore));
    const scratchBytes = this.scratchBytes(later, this.nReread());
    const nTokens = Math.min(request.nTokens, this.#config.contextLength);
    // That everything would fit as it is does not help: something has to go.
    const planned = this.budget({ ...request, nTokens, scratchBytes }, false);
    return planned.map((rows, l) =>
      rows.map((n, head) => {
        const length = request.lengths[l]?.[head] ?? 0;
        const shorter =
          cause === "bytes" ? Math.max(this.#method.minRows, length - headroom) : length;
        return Math.min(n, shorter, this.overflowRows(l));
      }),
    );
  }

  /** The same in decode: `{ keep }` of the prompt, `{ tokens }` and `{ bytes }` however long it gets. */
  stepBudget({ seen, promptLength, segments }: SequenceMeta): Uint32Array[] {
    const { layers, contextLength } = this.#config;
    const isKeep = this.#budget === undefined || "keep" in this.#budget;
    const { headroom } = this.#cache;
    const later = layers.map((_, l) => this.#cache.layer(l).length.map((n) => n + headroom));
    return this.budget(
      {
        lengths: later,
        nTokens: isKeep ? seen + promptLength : contextLength,
        segments,
        scratchBytes: this.scratchBytes(later, this.nReread()),
      },
      false,
    );
  }

  /**
   * Rows of a layer beyond that: `{ keep }` speaks of the prompt, as any budget does where the prompt
   * is frozen, and generated rows come on top.
   */
  stepExtra({ nGenerated = 0 }: SequenceMeta): number {
    const isKeep = this.#budget === undefined || "keep" in this.#budget;
    return isKeep || this.#method.capabilities.freezesPrompt === true
      ? nGenerated * this.#config.nKvHeads
      : 0;
  }

  /**
   * Rows per head of a layer that the method leaves alone which stay whenever bytes are scarce: in a
   * sliding-window layer no query sees more.
   */
  staysRows(l: number): number {
    return this.#config.layers[l]?.window || Infinity;
  }

  /** Rows per head that may stay when there is too much, in layers that the method leaves alone. */
  limit(l: number, cause: OverflowCause | undefined): number {
    if (this.evicts(l)) return Infinity;
    if (cause === "context") return this.overflowRows(l);
    return cause === undefined && !this.#isBytes() ? Infinity : this.staysRows(l);
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
    const oldBytes = this.#cache.usage().perLayer.map((layer) => layer.bytes);
    return this.#workBytes(lengths, nQueries) + Math.max(0, ...oldBytes);
  }

  /** The same when heads of these lengths have used up their headroom. */
  #laterBytes(lengths: readonly Uint32Array[]): number {
    const { headroom } = this.#cache;
    const grown = lengths.map((length) => length.map((n) => n + headroom));
    const sums = grown.map((length) => length.reduce((sum, n) => sum + n, 0));
    return this.#workBytes(grown, this.nReread()) + Math.max(0, ...sums) * this.#rowBytes();
  }

  #workBytes(lengths: readonly Uint32Array[], nQueries: number): number {
    const { needs } = this.#method;
    const config = this.#config;
    const stagedBytes = rowByteLength(codecs[this.#cache.codec].staging, this.#cache.headDim);
    const sums = lengths.map((length) => length.reduce((sum, n) => sum + n, 0));
    const longest = Math.max(0, ...lengths.flatMap((length) => [...length]));
    return (
      Math.max(0, ...sums) * stagedBytes +
      measureByteLength(needs, config, longest) +
      nQueries * qkvStride(config) * F32_BYTES +
      (this.evictsSteps() ? stepByteLength(needs.decode, config, longest) : 0)
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
    this.#nWanted = nMore;
    if (budget === undefined || "keep" in budget || cache.seen === 0) return null;
    if ("bytes" in budget) return this.#growsBeyond(budget.bytes, nMore) ? "bytes" : null;
    if (this.turnPolicy === "first" || nMore > 1 || this.evictsSteps()) return null;
    const isLong = layers.some(
      (_, l) =>
        this.evicts(l) && cache.layer(l).length.some((n) => n >= budget.tokens + cache.headroom),
    );
    return isLong ? "tokens" : null;
  }

  /** Whether `nMore` tokens would leave too few bytes to compress then or later. */
  #growsBeyond(bytes: number, nMore: number): boolean {
    const cache = this.#cache;
    const { layers, nKvHeads } = this.#config;
    const all = layers.map((_, l) => cache.layer(l));
    const isFull = all.some(({ length, capacity }) =>
      length.some((n, head) => n >= (capacity[head] ?? 0)),
    );
    if (nMore === 1 && !isFull) return false;
    const lengths = all.map(({ length }) => length.slice());
    if (nMore === 1) {
      const growth = layers.length * nKvHeads * cache.headroom * this.#rowBytes();
      return cache.usage().bytes + growth + this.#laterBytes(lengths) > bytes;
    }
    // A longer input is read into the staging area and compressed layer by layer.
    const longer = lengths.map((length) => length.map((n) => n + nMore));
    return cache.usage().bytes + this.scratchBytes(longer, this.nReread()) > bytes;
  }

  #isBytes(): boolean {
    return this.#budget !== undefined && "bytes" in this.#budget;
  }

  #rowBytes(): number {
    return rowByteLength(this.#cache.codec, this.#cache.headDim);
  }
}

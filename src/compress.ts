// Asks the method at the phase boundaries and makes its answers keep lists: the only file that knows
// both the cache and the method. The engine measures, the method decides, the cache obeys.
//
//   planPrefill(n) -> per layer: openLayer, chunks, compressLayer -> closeLayer -> finish()
//
// After an abort or an error, `release` instead of `finish`.
import type { KvCache } from "./cache/kv-cache.ts";
import { codecs, rowByteLength } from "./cache/layout.ts";
import { planBudget } from "./compression/budget.ts";
import { checkMethod } from "./compression/check-method.ts";
import { type KeepRequest, overflowOf, toKeepLists } from "./compression/keep-lists.ts";
import type { SelectKernels } from "./compression/kernels.ts";
import type {
  LayerContext,
  Method,
  MethodState,
  RowSums,
  SequenceMeta,
  SignalName,
  Signals,
} from "./compression/method.ts";
import {
  fillSegments,
  forcedCount,
  forcedRows,
  questionLength,
  type Segment,
} from "./compression/segments.ts";
import type { Engine, EngineBuffer, LayerRows } from "./engine/engine.ts";
import { assert, KvasirError } from "./errors.ts";
import type { ModelConfig } from "./model/config.ts";
import type { Budget } from "./types.ts";

export interface CompressorOptions {
  readonly engine: Pick<Engine, "alloc" | "free" | "slice" | "read" | "measureWindow">;
  readonly cache: KvCache;
  readonly method: Method;
  readonly budget?: Budget | undefined;
  readonly kernels: SelectKernels;
  readonly config: ModelConfig;
  /**
   * Whether the newest row stays whatever it scores. Default true; false is what implementations
   * do that score it like any other, and what comparing with them takes.
   */
  readonly keepsNewest?: boolean | undefined;
}

export interface CompressionReport {
  /** Rows kept beyond the budget because they were forced. */
  readonly overflowRows: number;
  readonly notes: readonly string[];
}

export interface Compressor {
  /** The method sees all layers at once: nothing shrinks before `finish`. */
  readonly needsAllLayers: boolean;
  /**
   * Decides the budget of a prompt of `nTokens` more tokens, and allocates what measuring needs.
   * @throws {KvasirError} `bad-option` (bytes too few for this prompt, marks), `out-of-memory`.
   */
  planPrefill(nTokens: number, marks?: readonly Segment[]): void;
  /** Whether layer `l` is to be staged: its rows will be fewer than they are. */
  stages(l: number): boolean;
  /** How many of the prompt's last queries `compressLayer` wants for layer `l`. */
  wantsQueries(l: number): number;
  /**
   * Rows of `cache.openRows(l)` to keep, per kv head, for `closeLayer`; null: all.
   *
   * @param queries As `qkv` in `Engine.attend`: the newest `nQueries` tokens, rotated.
   * @param firstPosition Position of the first of them.
   */
  compressLayer(
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<readonly Uint32Array[] | null>;
  /** Ends the prompt: applies what a method with all layers in view decides; frees signals. */
  finish(): void;
  /** Frees signals and forgets the prompt; nothing if there is none. */
  release(): void;
  /** On the last prompt. */
  report(): CompressionReport;
}

// The window of a method that asks for the prompt's question.
const MAX_SUFFIX = 64;
const DEFAULT_SUFFIX = 32;
const F32_BYTES = 4;
const measured: readonly SignalName[] = ["window", "lastRow"];

/** Everything that holds for one prompt. */
interface Prompt {
  readonly sequence: SequenceMeta;
  readonly state: MethodState;
  readonly budget: readonly Uint32Array[];
  readonly runs: readonly boolean[];
  /** Queries of the signal `window`; 0 where it is not needed. */
  readonly windowSize: number;
  /** f32[nHeads, nRows], reused by all layers; null where nothing is measured. */
  readonly signal: EngineBuffer | null;
  readonly contexts: LayerContext[];
  readonly requests: Map<number, KeepRequest>;
}

/** @throws {KvasirError} `bad-option`, `unsupported-option`: what cannot work for any prompt. */
export function createCompressor(options: CompressorOptions): Compressor {
  checkMethod(options.method, options.budget, options.config, measured);
  return new MethodCompressor(options);
}

class MethodCompressor implements Compressor {
  readonly needsAllLayers: boolean;
  readonly #options: CompressorOptions;
  #prompt: Prompt | null = null;
  #report: CompressionReport = { overflowRows: 0, notes: [] };

  constructor(options: CompressorOptions) {
    this.#options = options;
    this.needsAllLayers = options.method.scope === "model";
  }

  planPrefill(nTokens: number, marks: readonly Segment[] = []): void {
    this.release();
    this.#report = { overflowRows: 0, notes: [] };
    const { cache, method, engine, config } = this.#options;
    const { seen } = cache;
    const sequence: SequenceMeta = {
      seen,
      promptLength: nTokens,
      segments: fillSegments(marks, seen, seen + nTokens),
    };
    const lengths = config.layers.map((_, l) => cache.layer(l).length.map((n) => n + nTokens));
    const budget = this.#planBudget(sequence, lengths);
    const runs = lengths.map((length, l) => this.#runs(l, length, budget[l]));
    const nRows = Math.max(0, ...lengths.flatMap((length) => [...length]));
    const isMeasured = runs.includes(true) && method.needs.prefill.length > 0;
    const state = method.onSequence(sequence);
    this.#prompt = {
      sequence,
      state,
      budget,
      runs,
      windowSize: isMeasured ? this.#windowSize(sequence, lengths) : 0,
      signal: isMeasured
        ? engine.alloc(config.nHeads * nRows * F32_BYTES, "compress.signal")
        : null,
      contexts: [],
      requests: new Map(),
    };
  }

  stages(l: number): boolean {
    return !this.needsAllLayers && this.#planned().runs[l] === true;
  }

  wantsQueries(l: number): number {
    const { runs, windowSize, signal } = this.#planned();
    // The newest query serves `lastRow`.
    return runs[l] === true && signal !== null ? Math.max(windowSize, 1) : 0;
  }

  async compressLayer(
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<readonly Uint32Array[] | null> {
    const prompt = this.#planned();
    if (prompt.runs[l] !== true) return null;
    const { method } = this.#options;
    const signals = await this.#measure(prompt, l, queries, firstPosition, nQueries);
    const context = this.#context(prompt, l, signals);
    const request: KeepRequest = context;
    prompt.requests.set(l, request);
    this.#report = {
      ...this.#report,
      overflowRows: this.#report.overflowRows + overflowOf(request),
    };
    if (this.needsAllLayers) {
      prompt.contexts.push(context);
      return null;
    }
    const mutations = method.onPrefillLayer?.(context) ?? [];
    return toKeepLists(method, mutations, new Map([[l, request]])).get(l) ?? null;
  }

  finish(): void {
    const { method, cache } = this.#options;
    const { contexts, requests, state } = this.#planned();
    try {
      if (this.needsAllLayers && contexts.length > 0) {
        const mutations = method.onPrefillEnd?.(contexts) ?? [];
        const lists = toKeepLists(method, mutations, requests);
        for (const [l, keep] of lists) cache.compact(l, keep);
      }
      this.#report = { ...this.#report, notes: method.report(state).notes };
    } finally {
      this.release();
    }
  }

  release(): void {
    const signal = this.#prompt?.signal;
    this.#prompt = null;
    if (signal) this.#options.engine.free(signal);
  }

  report(): CompressionReport {
    return this.#report;
  }

  #planned(): Prompt {
    assert(this.#prompt !== null, "planPrefill comes first");
    return this.#prompt;
  }

  /** Sliding layers are bounded by themselves: their rows are left alone. */
  #evicts(l: number): boolean {
    const { config, method } = this.#options;
    return config.layers[l]?.window === 0 && method.skips?.(l, config) !== true;
  }

  #planBudget(sequence: SequenceMeta, lengths: readonly Uint32Array[]): Uint32Array[] {
    const { cache, method, budget, config, kernels } = this.#options;
    const nRows = sequence.seen + sequence.promptLength;
    return planBudget({
      kernels,
      budget,
      nRows,
      nKvHeads: config.nKvHeads,
      evicts: config.layers.map((_, l) => this.#evicts(l)),
      minRows: Math.max(method.minRows, forcedCount(sequence.segments)),
      isShared: !method.capabilities.raggedHeads,
      cost: {
        rowBytes: rowByteLength(cache.codec, cache.headDim),
        headroom: cache.headroom,
        scratchBytes: this.#scratchBytes(lengths),
      },
      allocator: method.allocator,
    });
  }

  /** Staging, signals, and the old buffers of a layer while its new ones are filled. */
  #scratchBytes(lengths: readonly Uint32Array[]): number {
    const { cache, method, config } = this.#options;
    const rowBytes = rowByteLength(codecs[cache.codec].staging, cache.headDim);
    const sums = lengths.map((length) => length.reduce((sum, n) => sum + n, 0));
    const longest = Math.max(0, ...lengths.flatMap((length) => [...length]));
    const signalBytes = method.needs.prefill.length > 0 ? config.nHeads * longest * F32_BYTES : 0;
    const oldBytes = cache.usage().perLayer.map((layer) => layer.bytes);
    return Math.max(0, ...sums) * rowBytes + signalBytes + Math.max(0, ...oldBytes);
  }

  #runs(l: number, length: Uint32Array, budget: Uint32Array | undefined): boolean {
    const { method, budget: given } = this.#options;
    if (method.schedule.prefill === "never" || !this.#evicts(l)) return false;
    // One row is the newest: nothing to choose.
    if (!length.some((n) => n > 1)) return false;
    const isOwnChoice = method.capabilities.budget !== "required";
    return isOwnChoice || (given !== undefined && length.some((n, h) => n > (budget?.[h] ?? n)));
  }

  /** At least one row is left to be scored, and only queries of this prompt exist. */
  #windowSize(sequence: SequenceMeta, lengths: readonly Uint32Array[]): number {
    const { needs } = this.#options.method;
    if (!needs.prefill.includes("window")) return 0;
    const shortest = Math.min(...lengths.flatMap((length) => [...length]));
    const question = Math.min(questionLength(sequence.segments), MAX_SUFFIX);
    const wanted = needs.window === "suffix" ? question || DEFAULT_SUFFIX : (needs.window ?? 1);
    return Math.max(1, Math.min(wanted, sequence.promptLength, shortest - 1));
  }

  async #measure(
    prompt: Prompt,
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<Partial<Signals>> {
    const { engine, cache, config, method } = this.#options;
    const rows = cache.openRows(l);
    const { nHeads, nKvHeads, headDim } = config;
    const strideBytes = (nHeads + 2 * nKvHeads) * headDim * F32_BYTES;
    const shape = { nHeads, nKvHeads, headDim, scale: config.attentionScale, window: 0 };
    const signals: { window?: RowSums; lastRow?: RowSums } = {};
    for (const name of ["window", "lastRow"] as const) {
      if (!method.needs.prefill.includes(name) || prompt.signal === null) continue;
      const nUsed = name === "window" ? Math.min(prompt.windowSize, nQueries) : 1;
      assert(nUsed <= nQueries && nUsed > 0, "compressLayer got the queries that it wants");
      const nSkipped = nQueries - nUsed;
      const used =
        nSkipped === 0
          ? queries
          : engine.slice(queries, nSkipped * strideBytes, nUsed * strideBytes);
      engine.measureWindow(prompt.signal, used, rows, shape, firstPosition + nSkipped, nUsed);
      const nRows = longestOf(rows);
      const bytes = await engine.read(prompt.signal, 0, nHeads * nRows * F32_BYTES);
      signals[name] = { sums: toF32(bytes), nRows, nQueries: nUsed };
    }
    return signals;
  }

  #context(prompt: Prompt, l: number, signals: Partial<Signals>): LayerContext {
    const { cache, method, kernels, config, keepsNewest = true } = this.#options;
    const positions = cache.knownPositions(l);
    const forced = positions.map((ofHead) => {
      const rows = new Set(forcedRows(prompt.sequence.segments, ofHead));
      if (keepsNewest && ofHead.length > 0) rows.add(ofHead.length - 1);
      return Uint32Array.from(rows);
    });
    return {
      phase: "prefill",
      layer: l,
      model: config,
      sequence: prompt.sequence,
      rows: { length: Uint32Array.from(positions, (ofHead) => ofHead.length), positions },
      budget: prompt.budget[l] ?? new Uint32Array(config.nKvHeads),
      forced,
      kernels,
      state: prompt.state,
      signal(name) {
        const value = signals[name];
        if (value !== undefined) return value;
        throw new KvasirError(
          "unsupported-option",
          `Cannot compress with "${method.id}": its needs must name each signal, got "${name}"`,
        );
      },
    };
  }
}

function longestOf({ length }: LayerRows): number {
  return Math.max(0, ...length);
}

function toF32(bytes: Uint8Array): Float32Array {
  const isAligned = bytes.byteOffset % F32_BYTES === 0;
  const own = isAligned ? bytes : bytes.slice();
  return new Float32Array(own.buffer, own.byteOffset, own.byteLength / F32_BYTES);
}

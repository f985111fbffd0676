// What a session has read, as tokens: prompts through prefill and compression, the answer token by
// token, and room made by the method where the model's context or the budget is used up.
import { KvCache } from "./cache/kv-cache.ts";
import { copyCache, restoreCache, type SavedCache, saveCache } from "./cache/snapshot.ts";
import { createCompressor } from "./compress.ts";
import type { OverflowCause } from "./compress-plan.ts";
import type { CompressorMemory, SequenceCompressor } from "./compressor.ts";
import type { SelectKernels } from "./compression/kernels.ts";
import type { Method } from "./compression/method.ts";
import { createMethod } from "./compression/registry.ts";
import type { Segment } from "./compression/segments.ts";
import { Decoder } from "./decode.ts";
import type { EngineBuffer } from "./engine/engine.ts";
import { KvasirError } from "./errors.ts";
import type { Transformer } from "./model/transformer.ts";
import { prefill, type PrefillOptions, type PrefillProgress } from "./prefill.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { Sampler } from "./sampler/sampler.ts";
import type { ResolvedSession } from "./session/session-options.ts";
import type { CacheUsage, CompressReason, ReadEvent } from "./types.ts";

/** Tokens that penalties look back at, as in llama.cpp. */
const N_RECENT = 64;
/** Reasons to drop rows that can hold at once. */
const MAX_CAUSES = 2;

export interface SequenceParts {
  readonly transformer: Transformer;
  readonly kernels: SelectKernels;
}

/** What `Sequence.save` returns: plain data, its arrays in the engine's byte order (little-endian). */
export interface SavedSequence {
  readonly cache: SavedCache;
  readonly memory: CompressorMemory;
  readonly tokens: { readonly prompt: number; readonly completion: number };
  readonly pending: Uint32Array;
  readonly recent: Uint32Array;
}

export class Sequence {
  readonly cache: KvCache;
  readonly compressor: SequenceCompressor;
  readonly decoder: Decoder;
  readonly #ahead: ReadAhead;
  readonly method: Method;
  readonly #parts: SequenceParts;
  readonly #options: ResolvedSession;
  #tokens = { prompt: 0, completion: 0 };
  /** Sampled, shown, and not read yet. */
  #pending: number[] = [];
  #recent: number[] = [];

  /** @throws {KvasirError} `bad-option`, `unsupported-option`: what cannot work for any prompt. */
  constructor(parts: SequenceParts, options: ResolvedSession) {
    const { engine, config } = parts.transformer;
    const { codec, headroom, method, budget, turnPolicy } = options;
    const { nLayers, nKvHeads, headDim } = config;
    // Rows held for an abort would not count as the budget's.
    const canRestore = budget === undefined || !("bytes" in budget);
    this.#parts = parts;
    this.#options = options;
    this.method = createMethod(method);
    const shape = { nLayers, nKvHeads, headDim };
    this.cache = new KvCache(engine, { ...shape, codec, headroom, canRestore });
    this.compressor = createCompressor({
      engine,
      cache: this.cache,
      method: this.method,
      budget,
      kernels: parts.kernels,
      config,
      outputWeight: (l) => parts.transformer.outputWeight(l),
      turnPolicy,
    });
    this.decoder = new Decoder(parts.transformer, this.cache);
    this.#ahead = new ReadAhead(this, engine.readAhead);
  }

  /** Counted since the beginning: read as prompts, shown as answers. */
  get tokens(): { readonly prompt: number; readonly completion: number } {
    return { ...this.#tokens };
  }

  /** Tokens that were shown and are read with the next prompt. */
  get nPending(): number {
    return this.#pending.length;
  }

  /** The newest tokens read, at most 64, oldest first. */
  get recent(): readonly number[] {
    return this.#recent.slice(-N_RECENT);
  }

  /**
   * Reads what is pending and then `own`, and compresses; in the strict flow the last token is then
   * read again over what was kept. Its logits are the decoder's afterwards.
   *
   * @param segments Of `own`, from 0.
   * @throws {KvasirError} `aborted`, `out-of-memory`, `cache-full`, `bad-option`; what was read
   *   before is as it was, or dropped as in an overflow.
   */
  async *read(
    own: Uint32Array,
    segments: readonly Segment[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ReadEvent> {
    this.#ahead.takeBack();
    const tokens = Uint32Array.from([...this.#pending, ...own]);
    const first = this.#pending.length;
    yield* this.makeRoom(tokens.length, signal);
    const base = this.cache.seen + first;
    const marks = segments.map((one) => ({
      ...one,
      begin: base + one.begin,
      end: base + one.end,
    }));
    const before = this.compressor.report();
    const steps = this.#prefill(tokens, { signal, marks }, (hidden) =>
      this.decoder.takeLast(hidden, tokens.length),
    );
    for await (const progress of steps) yield { type: "prefill", ...progress };
    this.#pending = [];
    this.#tokens.prompt += tokens.length;
    this.#remember(tokens);
    const usage = this.cache.usage();
    if (this.compressor.report() === before || usage.keptRows >= usage.fullRows) return;
    if (this.#options.flow === "strict") {
      this.cache.truncate(this.cache.seen - 1);
      this.decoder.step(tokens.at(-1) ?? 0);
    }
    yield this.#compressed("prompt");
  }

  /**
   * The most likely next token; steps may then run ahead until `settle`.
   * @param nMore Tokens that may follow it.
   */
  best(nMore: number): Promise<number> {
    return this.#ahead.best(nMore);
  }

  /**
   * The next token as `sampler` chooses it by the logits; steps may then run ahead until `settle`.
   * @param nMore As in `best`.
   */
  async draw(sampler: Sampler, nMore: number): Promise<number> {
    const { engine, config } = this.#parts.transformer;
    const canDraw = engine.draw !== undefined && engine.readAhead > 0;
    const rule = canDraw ? sampler.rule(config.vocabSize) : null;
    if (rule !== null) return this.#ahead.draw(sampler, rule, nMore);
    return sampler.sample(await this.decoder.logits(), this.recent);
  }

  /** Takes back what was read ahead of the tokens that were shown: an answer ended. */
  settle(): void {
    this.#ahead.takeBack();
  }

  /** Tokens read: the position of the next one. */
  get position(): number {
    return this.cache.seen - this.#ahead.nSteps;
  }

  /** What the cache holds of the tokens read. */
  usage(): CacheUsage {
    return this.cache.usage(this.#ahead.nSteps);
  }

  /**
   * Whether rows may be dropped before the question is known.
   * @throws {KvasirError} `unsupported-option` where the method chooses by a question that is not
   *   part of `segments`.
   */
  checkQuestion(segments: readonly Segment[]): void {
    const { id, capabilities, schedule } = this.method;
    if (!capabilities.queryAware || schedule.prefill === "never") return;
    if (segments.some(({ kind }) => kind === "question")) return;
    throw new KvasirError(
      "unsupported-option",
      "Cannot read without a question: the method chooses rows by the question's attention, which " +
        "serves no other one (mark the question in segments, or take a method that does not: " +
        `expected-attention, keydiff, knorm, lagkv, streaming-llm), got "${id}"`,
    );
  }

  /** Notes a token of the answer; undefined: one that is not part of it and will not be read. */
  show(token: number | undefined): void {
    this.#tokens.completion++;
    this.#pending = token === undefined ? [] : [token];
  }

  /** Reads a token of the answer; the method may drop rows then. */
  async *step(token: number): AsyncGenerator<ReadEvent> {
    const isRead = this.#ahead.confirm();
    if (!isRead) this.decoder.step(token, this.compressor.beginStep());
    this.#pending = [];
    this.#remember([token]);
    if (isRead) return;
    if (await this.compressor.finishStep()) yield this.#compressed("step");
  }

  /** Whether one more token can be read, if need be after a compression. */
  canGoOn(): boolean {
    if (this.#ahead.nSteps > 0) return true;
    return this.compressor.overflow(1) === null || this.compressor.nReread() !== null;
  }

  /**
   * Drops rows where `nMore` tokens would be more than the model or the budget allows: the newest
   * tokens are read again, so that there are queries to judge the others by.
   * @throws {KvasirError} `cache-full` where the method cannot, or not enough.
   */
  async *makeRoom(nMore: number, signal: AbortSignal | undefined): AsyncGenerator<ReadEvent> {
    if (this.#ahead.nSteps > 0) return; // there was room when the step was recorded
    let cause = this.compressor.overflow(nMore);
    // The context and the budget may both be used up.
    for (let n = 0; cause !== null; n++) {
      const nReread = Math.min(this.compressor.nReread() ?? 0, this.#recent.length, N_RECENT);
      if (nReread === 0 || n === MAX_CAUSES) throw this.#full(nMore, cause);
      await this.#readAgain(nReread, cause, signal);
      yield this.#compressed("overflow");
      cause = this.compressor.overflow(nMore);
    }
  }

  /**
   * A sequence of its own that has read the same.
   * @throws {KvasirError} `out-of-memory`; nothing stays allocated then.
   */
  fork(): Sequence {
    const fork = new Sequence(this.#parts, this.#options);
    try {
      copyCache(fork.cache, this.cache);
      fork.compressor.recall(this.compressor.memory());
    } catch (error) {
      fork.dispose();
      throw error;
    }
    fork.#tokens = { ...this.#tokens };
    fork.#pending = [...this.#pending];
    fork.#recent = [...this.#recent];
    return fork;
  }

  /** All of it as plain data, for any engine. */
  async save(): Promise<SavedSequence> {
    const { engine } = this.#parts.transformer;
    return {
      cache: await saveCache(this.cache, engine),
      memory: this.compressor.memory(),
      tokens: { ...this.#tokens },
      pending: Uint32Array.from(this.#pending),
      recent: Uint32Array.from(this.#recent),
    };
  }

  /**
   * What `save` returned, in place of nothing.
   * @throws {KvasirError} `bad-snapshot`, `out-of-memory`.
   */
  restore(saved: SavedSequence): void {
    restoreCache(this.cache, this.#parts.transformer.engine, saved.cache);
    this.compressor.recall(saved.memory);
    this.#tokens = { ...saved.tokens };
    this.#pending = [...saved.pending];
    this.#recent = [...saved.recent];
  }

  reset(): void {
    this.#ahead.takeBack();
    this.cache.reset();
    this.#pending = [];
    this.#recent = [];
    this.#tokens = { prompt: 0, completion: 0 };
  }

  dispose(): void {
    this.compressor.dispose();
    this.cache.dispose();
    this.decoder.dispose();
  }

  async #readAgain(
    nTokens: number,
    cause: OverflowCause,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const newest = Uint32Array.from(this.#recent.slice(-nTokens));
    this.cache.truncate(this.cache.seen - nTokens);
    let isDone = false;
    try {
      const steps = this.#prefill(newest, { signal, cause }, () => {});
      for await (const progress of steps) void progress;
      isDone = true;
    } finally {
      // What is not in the cache any more is read with the next prompt.
      if (!isDone) this.#forgetNewest(newest);
    }
  }

  #prefill(
    tokens: Uint32Array,
    options: Pick<PrefillOptions, "signal" | "marks" | "cause">,
    useHidden: (hidden: EngineBuffer) => void,
  ): AsyncGenerator<PrefillProgress> {
    const { transformer } = this.#parts;
    const { chunkSize } = this.#options;
    const parts = { transformer, cache: this.cache, compressor: this.compressor, chunkSize };
    return prefill(tokens, { ...parts, ...options }, useHidden);
  }

  #compressed(reason: CompressReason): ReadEvent {
    const usage = this.cache.usage();
    return { type: "compressed", reason, usage, compression: this.compressor.report() };
  }

  #forgetNewest(tokens: Uint32Array): void {
    this.#pending = [...tokens, ...this.#pending];
    this.#recent = this.#recent.slice(0, this.#recent.length - tokens.length);
  }

  #remember(tokens: ArrayLike<number>): void {
    this.#recent.push(...Array.from(tokens).slice(-N_RECENT));
    if (this.#recent.length > 4 * N_RECENT) this.#recent = this.#recent.slice(-N_RECENT);
  }

  #full(nTokens: number, cause: OverflowCause): KvasirError {
    const { contextLength } = this.#parts.transformer.config;
    const { budget } = this.#options;
    const isBytes = cause === "bytes" && budget !== undefined && "bytes" in budget;
    const why = isBytes
      ? `"${this.method.id}" makes no room within ${budget.bytes} bytes, of which ` +
        `${this.cache.usage().bytes} are held; got ${nTokens} more tokens`
      : `the model reads at most ${contextLength} tokens, ` +
        `got ${nTokens} after the ${this.cache.seen} read before`;
    return new KvasirError("cache-full", `Cannot generate: ${why}`);
  }
}

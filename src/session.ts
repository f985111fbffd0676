// The whole run on one page: prefill -> compress -> decode -> sample -> stream.
import { KvCache } from "./cache/kv-cache.ts";
import { createCompressor, type Compressor } from "./compress.ts";
import type { OverflowCause } from "./compress-plan.ts";
import type { SelectKernels } from "./compression/kernels.ts";
import { createMethod } from "./compression/registry.ts";
import type { Segment } from "./compression/segments.ts";
import { Conversation } from "./conversation.ts";
import { Decoder } from "./decode.ts";
import { KvasirError, throwIfAborted } from "./errors.ts";
import type { EngineBuffer } from "./engine/engine.ts";
import type { Transformer } from "./model/transformer.ts";
import { prefill, type PrefillOptions, type PrefillProgress } from "./prefill.ts";
import { promptSegments } from "./prompt-segments.ts";
import type { SampleKernels } from "./sampler/kernels.ts";
import { createSampler, type Sampler } from "./sampler/sampler.ts";
import { resolveGenerate, resolveSession, type ResolvedSession } from "./session-options.ts";
import { createStopSequences } from "./stop-sequences.ts";
import { Stopwatch } from "./stopwatch.ts";
import type { ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type {
  CompressReason,
  FinishReason,
  GenerateEvent,
  GenerateInput,
  GenerateOptions,
  Session,
  SessionOptions,
  SessionUsage,
  TokenLogprob,
} from "./types.ts";
import { Yielder } from "./yielder.ts";

/** Tokens that penalties look back at, as in llama.cpp. */
const N_RECENT = 64;
/** Reasons to drop rows that can hold at once. */
const MAX_CAUSES = 2;

export interface SessionParts {
  readonly transformer: Transformer;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
  readonly kernels: SelectKernels & SampleKernels;
}

interface Choice {
  readonly token: number;
  readonly logprob?: number;
  readonly topLogprobs?: readonly TokenLogprob[];
}

export class LocalSession implements Session {
  readonly #parts: SessionParts;
  readonly #options: ResolvedSession;
  readonly #cache: KvCache;
  readonly #compressor: Compressor;
  readonly #decoder: Decoder;
  readonly #conversation: Conversation;
  readonly #onFree: () => void;
  readonly #stopwatch = new Stopwatch();
  #tokens = { prompt: 0, completion: 0 };
  /** Sampled, shown, and not read yet. */
  #pending: number[] = [];
  #recent: number[] = [];
  /** The answer in progress. */
  #running: AsyncGenerator<GenerateEvent> | null = null;
  #isDisposed = false;

  constructor(parts: SessionParts, options: SessionOptions, onFree: () => void = () => {}) {
    const { engine, config } = parts.transformer;
    const resolved = resolveSession(options, engine.activations);
    const { codec, headroom, method, budget, turnPolicy } = resolved;
    const { nLayers, nKvHeads, headDim } = config;
    // Rows held for an abort would not count as the budget's.
    const canRestore = budget === undefined || !("bytes" in budget);
    this.#parts = parts;
    this.#options = resolved;
    this.#onFree = onFree;
    const shape = { nLayers, nKvHeads, headDim };
    this.#cache = new KvCache(engine, { ...shape, codec, headroom, canRestore });
    this.#compressor = createCompressor({
      engine,
      cache: this.#cache,
      method: createMethod(method),
      budget,
      kernels: parts.kernels,
      config,
      outputWeight: (l) => parts.transformer.outputWeight(l),
      turnPolicy,
    });
    this.#decoder = new Decoder(parts.transformer, this.#cache);
    this.#conversation = new Conversation(parts.tokenizer, parts.chatTemplate);
  }

  generate(input: GenerateInput, options: GenerateOptions = {}): AsyncIterable<GenerateEvent> {
    this.#check();
    resolveGenerate(options);
    createStopSequences(options.stop);
    const sampler = createSampler(options, this.#parts.kernels);
    return this.#guarded(this.#run(input, options, sampler));
  }

  usage(): SessionUsage {
    return {
      tokens: { ...this.#tokens },
      position: this.#cache.seen,
      cache: this.#cache.usage(),
      compression: this.#compressor.report(),
      timing: this.#stopwatch.timing(),
    };
  }

  reset(): void {
    this.#check();
    if (this.#running !== null) throw busy("reset the session");
    this.#cache.reset();
    this.#conversation.reset();
    this.#pending = [];
    this.#recent = [];
    this.#tokens = { prompt: 0, completion: 0 };
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const free = (): void => this.#free();
    if (this.#running === null) free();
    else void this.#running.return(undefined).then(free, free);
  }

  /**
   * One answer at a time. `dispose` in the middle of one ends it after the step at hand, whether or
   * not anyone asks for more; who does is told.
   */
  async *#guarded(run: AsyncGenerator<GenerateEvent>): AsyncGenerator<GenerateEvent> {
    this.#check();
    if (this.#running !== null) throw busy("generate");
    this.#running = run;
    let isDone = false;
    try {
      for await (const event of run) {
        isDone = event.type === "done";
        yield event;
      }
      if (!isDone) this.#check();
    } finally {
      this.#running = null;
    }
  }

  async *#run(
    input: GenerateInput,
    options: GenerateOptions,
    sampler: Sampler,
  ): AsyncGenerator<GenerateEvent> {
    const { signal } = options;
    throwIfAborted(signal, "generate");
    const own = this.#conversation.tokensOf(input, this.#cache.seen === 0);
    const tokens = new Uint32Array(this.#pending.length + own.length);
    tokens.set(this.#pending);
    tokens.set(own, this.#pending.length);
    const first = this.#pending.length;
    const wanted = { ...this.#options.segments, ...options };
    const { tokenizer } = this.#parts;
    const segments = promptSegments(input, own, tokenizer, this.#conversation, wanted);
    this.#stopwatch.start(tokens.length);
    yield* this.#makeRoom(tokens.length, signal);
    const base = this.#cache.seen + first;
    const marks = segments.map((one) => ({
      ...one,
      begin: base + one.begin,
      end: base + one.end,
    }));
    yield* this.#read(tokens, signal, marks);
    const answer = { text: "" };
    try {
      const reason = yield* this.#answer(options, sampler, answer);
      yield { type: "done", reason, text: answer.text, usage: this.usage() };
    } finally {
      this.#conversation.add(input, answer.text);
    }
  }

  /** Prefill and compression; in the strict flow the last token is then read again. */
  async *#read(
    tokens: Uint32Array,
    signal: AbortSignal | undefined,
    marks: readonly Segment[],
  ): AsyncGenerator<GenerateEvent> {
    const before = this.#compressor.report();
    const steps = this.#prefill(tokens, { signal, marks }, (hidden) =>
      this.#decoder.takeLast(hidden, tokens.length),
    );
    for await (const progress of steps) yield { type: "prefill", ...progress };
    this.#pending = [];
    this.#tokens.prompt += tokens.length;
    this.#remember(tokens);
    const usage = this.#cache.usage();
    if (this.#compressor.report() !== before && usage.keptRows < usage.fullRows) {
      if (this.#options.flow === "strict") {
        this.#cache.truncate(this.#cache.seen - 1);
        this.#decoder.step(tokens.at(-1) ?? 0);
      }
      yield this.#compressed("prompt");
    }
    this.#stopwatch.prefilled();
  }

  /**
   * Drops rows where `nMore` tokens would be more than the model or the budget allows: the newest
   * tokens are read again, so that there are queries to judge the others by.
   * @throws {KvasirError} `cache-full` where the method cannot, or not enough.
   */
  async *#makeRoom(nMore: number, signal: AbortSignal | undefined): AsyncGenerator<GenerateEvent> {
    let cause = this.#compressor.overflow(nMore);
    // The context and the budget may both be used up.
    for (let n = 0; cause !== null; n++) {
      const nReread = Math.min(this.#compressor.nReread() ?? 0, this.#recent.length, N_RECENT);
      if (nReread === 0 || n === MAX_CAUSES) throw this.#full(nMore);
      await this.#readAgain(nReread, cause, signal);
      yield this.#compressed("overflow");
      cause = this.#compressor.overflow(nMore);
    }
  }

  async #readAgain(
    nTokens: number,
    cause: OverflowCause,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const newest = Uint32Array.from(this.#recent.slice(-nTokens));
    this.#cache.truncate(this.#cache.seen - nTokens);
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
    const parts = { transformer, cache: this.#cache, compressor: this.#compressor, chunkSize };
    return prefill(tokens, { ...parts, ...options }, useHidden);
  }

  #compressed(reason: CompressReason): GenerateEvent {
    const usage = this.#cache.usage();
    return { type: "compressed", reason, usage, compression: this.#compressor.report() };
  }

  #forgetNewest(tokens: Uint32Array): void {
    this.#pending = [...tokens, ...this.#pending];
    this.#recent = this.#recent.slice(0, this.#recent.length - tokens.length);
  }

  async *#answer(
    options: GenerateOptions,
    sampler: Sampler,
    answer: { text: string },
  ): AsyncGenerator<GenerateEvent, FinishReason> {
    const { maxTokens, ignoreEos } = resolveGenerate(options);
    const { tokenizer } = this.#parts;
    const stops = createStopSequences(options.stop);
    const pieces = tokenizer.decodeStream({ keepSpecial: false });
    const yielder = new Yielder();
    for (let n = 1; ; n++) {
      throwIfAborted(options.signal, "generate");
      const choice = await this.#choose(options, sampler);
      this.#stopwatch.token();
      if (!ignoreEos && tokenizer.stopTokens.has(choice.token)) {
        const rest = stops.push(pieces.end()).text + stops.end();
        answer.text += rest;
        if (rest !== "") yield { type: "token", ...choice, text: rest };
        return "stop";
      }
      const isLast = n >= maxTokens || !this.#canGoOn();
      const shown = stops.push(pieces.push(choice.token) + (isLast ? pieces.end() : ""));
      const text = shown.text + (isLast ? stops.end() : "");
      answer.text += text;
      this.#tokens.completion++;
      this.#pending = shown.isStopped ? [] : [choice.token];
      yield { type: "token", ...choice, text };
      if (shown.isStopped) return "stop";
      if (isLast) return "length";
      throwIfAborted(options.signal, "generate");
      yield* this.#makeRoom(1, options.signal);
      yield* this.#step(choice.token);
      await yielder.pause();
    }
  }

  async #choose(options: GenerateOptions, sampler: Sampler): Promise<Choice> {
    const { logprobs } = options;
    const isPlain = logprobs === undefined && isGreedy(options);
    if (isPlain) return { token: await this.#decoder.best() };
    const logits = await this.#decoder.logits();
    const token = sampler.sample(logits, this.#recent.slice(-N_RECENT));
    if (logprobs === undefined) return { token };
    const { tokenizer } = this.#parts;
    const { logprob, top } = sampler.logprobs(logits, token, logprobs);
    const topLogprobs = top.map((one) => ({ ...one, text: tokenizer.piece(one.token) }));
    return { token, logprob, topLogprobs };
  }

  #remember(tokens: ArrayLike<number>): void {
    this.#recent.push(...Array.from(tokens).slice(-N_RECENT));
    if (this.#recent.length > 4 * N_RECENT) this.#recent = this.#recent.slice(-N_RECENT);
  }

  /** Reads a token of the answer; the method may drop rows then. */
  async *#step(token: number): AsyncGenerator<GenerateEvent> {
    this.#decoder.step(token, this.#compressor.beginStep());
    this.#pending = [];
    this.#remember([token]);
    if (await this.#compressor.finishStep()) yield this.#compressed("step");
  }

  /** Whether one more token can be read, if need be after a compression. */
  #canGoOn(): boolean {
    return this.#compressor.overflow(1) === null || this.#compressor.nReread() !== null;
  }

  #full(nTokens: number): KvasirError {
    const { contextLength } = this.#parts.transformer.config;
    return new KvasirError(
      "cache-full",
      `Cannot generate: the model reads at most ${contextLength} tokens, ` +
        `got ${nTokens} after the ${this.#cache.seen} read before`,
    );
  }

  #check(): void {
    if (this.#isDisposed) {
      throw new KvasirError("disposed", "Cannot use the session: it was disposed");
    }
  }

  #free(): void {
    this.#compressor.dispose();
    this.#cache.dispose();
    this.#decoder.dispose();
    this.#onFree();
  }
}

function isGreedy(options: GenerateOptions): boolean {
  const { temperature = 0, repetitionPenalty = 1, frequencyPenalty = 0 } = options;
  const { presencePenalty = 0 } = options;
  const hasPenalty = repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
  return temperature === 0 && !hasPenalty;
}

function busy(action: string): KvasirError {
  return new KvasirError("busy", `Cannot ${action}: the session is generating an answer`);
}

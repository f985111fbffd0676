// The whole run on one page: prefill -> compress -> decode -> sample -> stream.
import type { SelectKernels } from "./compression/kernels.ts";
import { Conversation } from "./conversation.ts";
import { KvasirError, throwIfAborted } from "./errors.ts";
import type { Transformer } from "./model/transformer.ts";
import { promptSegments } from "./prompt-segments.ts";
import type { SampleKernels } from "./sampler/kernels.ts";
import { createSampler, type Sampler } from "./sampler/sampler.ts";
import { Sequence } from "./sequence.ts";
import { resolveGenerate, resolveSession, type ResolvedSession } from "./session-options.ts";
import { createStopSequences } from "./stop-sequences.ts";
import { Stopwatch } from "./stopwatch.ts";
import type { ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type {
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
  readonly #sequence: Sequence;
  readonly #conversation: Conversation;
  readonly #onFree: () => void;
  readonly #stopwatch = new Stopwatch();
  /** The answer in progress. */
  #running: AsyncGenerator<GenerateEvent> | null = null;
  #isDisposed = false;

  constructor(parts: SessionParts, options: SessionOptions, onFree: () => void = () => {}) {
    this.#parts = parts;
    this.#options = resolveSession(options, parts.transformer.engine.activations);
    this.#onFree = onFree;
    this.#sequence = new Sequence(parts, this.#options);
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
      tokens: this.#sequence.tokens,
      position: this.#sequence.position,
      cache: this.#sequence.usage(),
      compression: this.#sequence.compressor.report(),
      timing: this.#stopwatch.timing(),
    };
  }

  reset(): void {
    this.#check();
    if (this.#running !== null) throw busy("reset the session");
    this.#sequence.reset();
    this.#conversation.reset();
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
    const own = this.#conversation.tokensOf(input, this.#sequence.cache.seen === 0);
    const wanted = { ...this.#options.segments, ...options };
    const { tokenizer } = this.#parts;
    const segments = promptSegments(input, own, tokenizer, this.#conversation, wanted);
    this.#stopwatch.start(this.#sequence.nPending + own.length);
    yield* this.#sequence.read(own, segments, signal);
    this.#stopwatch.prefilled();
    const answer = { text: "" };
    try {
      const reason = yield* this.#answer(options, sampler, answer);
      this.#sequence.settle();
      yield { type: "done", reason, text: answer.text, usage: this.usage() };
    } finally {
      this.#sequence.settle();
      this.#conversation.add(input, answer.text);
    }
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
      const choice = await this.#choose(options, sampler, maxTokens - n);
      this.#stopwatch.token();
      if (!ignoreEos && tokenizer.stopTokens.has(choice.token)) {
        const rest = stops.push(pieces.end()).text + stops.end();
        answer.text += rest;
        if (rest !== "") yield { type: "token", ...choice, text: rest };
        return "stop";
      }
      const isLast = n >= maxTokens || !this.#sequence.canGoOn();
      const shown = stops.push(pieces.push(choice.token) + (isLast ? pieces.end() : ""));
      const text = shown.text + (isLast ? stops.end() : "");
      answer.text += text;
      this.#sequence.show(shown.isStopped ? undefined : choice.token);
      yield { type: "token", ...choice, text };
      if (shown.isStopped) return "stop";
      if (isLast) return "length";
      throwIfAborted(options.signal, "generate");
      yield* this.#sequence.makeRoom(1, options.signal);
      yield* this.#sequence.step(choice.token);
      await yielder.pause();
    }
  }

  /** @param nMore Tokens that may follow. */
  async #choose(options: GenerateOptions, sampler: Sampler, nMore: number): Promise<Choice> {
    const { logprobs } = options;
    const { decoder, recent } = this.#sequence;
    const isPlain = logprobs === undefined && isGreedy(options);
    if (isPlain) return { token: await this.#sequence.best(nMore) };
    const logits = await decoder.logits();
    const token = sampler.sample(logits, recent);
    if (logprobs === undefined) return { token };
    const { tokenizer } = this.#parts;
    const { logprob, top } = sampler.logprobs(logits, token, logprobs);
    const topLogprobs = top.map((one) => ({ ...one, text: tokenizer.piece(one.token) }));
    return { token, logprob, topLogprobs };
  }

  #check(): void {
    if (this.#isDisposed) {
      throw new KvasirError("disposed", "Cannot use the session: it was disposed");
    }
  }

  #free(): void {
    this.#sequence.dispose();
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

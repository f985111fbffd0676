// The whole run on one page: prefill -> compress -> decode -> sample -> stream.
import type { SelectKernels } from "./compression/kernels.ts";
import { Conversation } from "./session/conversation.ts";
import { KvasirError, throwIfAborted } from "./errors.ts";
import { type LastingParts, LastingSequence } from "./session/lasting-sequence.ts";
import { promptSegments } from "./session/prompt-segments.ts";
import type { SampleKernels } from "./sampler/kernels.ts";
import { createSampler, type Sampler } from "./sampler/sampler.ts";
import type { Sequence } from "./sequence.ts";
import {
  checkSegments,
  resolveGenerate,
  resolveSession,
  type ResolvedSession,
} from "./session/session-options.ts";
import { createStopSequences } from "./session/stop-sequences.ts";
import { Stopwatch } from "./timing/stopwatch.ts";
import type { ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type {
  FinishReason,
  GenerateEvent,
  GenerateInput,
  GenerateOptions,
  ReadEvent,
  ReadOptions,
  SegmentOptions,
  Session,
  SessionOptions,
  SessionUsage,
  TokenLogprob,
} from "./types.ts";
import { Yielder } from "./timing/yielder.ts";

export interface SessionParts extends LastingParts {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
  readonly kernels: SelectKernels & SampleKernels;
  /** Of the weights and what the file says about them; snapshots carry it. */
  readonly modelHash: string;
}

interface Choice {
  readonly token: number;
  readonly logprob?: number;
  readonly topLogprobs?: readonly TokenLogprob[];
}

/** What holds sessions and frees them: a model. */
export interface SessionOwner {
  add(session: Session): void;
  remove(session: Session): void;
}

/** What a session goes on from. */
export interface SessionState {
  readonly options: ResolvedSession;
  readonly sequence: LastingSequence;
  readonly conversation: Conversation;
}

const nobody: SessionOwner = { add: () => {}, remove: () => {} };

export class LocalSession implements Session {
  readonly #parts: SessionParts;
  readonly #options: ResolvedSession;
  readonly #lasting: LastingSequence;
  readonly #conversation: Conversation;
  readonly #owner: SessionOwner;
  readonly #stopwatch = new Stopwatch();
  /** What is being read, answered or saved. */
  #running: AsyncGenerator<unknown> | null = null;
  #isDisposed = false;

  /** @param state In place of `options`; default: nothing was read yet. */
  constructor(
    parts: SessionParts,
    options: SessionOptions,
    owner: SessionOwner = nobody,
    state?: SessionState,
  ) {
    this.#parts = parts;
    this.#options = state?.options ?? resolveSession(options, parts.transformer.engine);
    this.#owner = owner;
    this.#lasting = state?.sequence ?? new LastingSequence(parts, this.#options);
    this.#conversation =
      state?.conversation ?? new Conversation(parts.tokenizer, parts.chatTemplate);
    owner.add(this);
  }

  generate(input: GenerateInput, options: GenerateOptions = {}): AsyncIterable<GenerateEvent> {
    this.#check();
    resolveGenerate(options);
    createStopSequences(options.stop);
    const sampler = createSampler(options, this.#parts.kernels);
    const run = this.#run(input, options, sampler);
    return this.#guarded("generate", run, ({ type }) => type === "done");
  }

  async read(input: GenerateInput, options: ReadOptions = {}): Promise<SessionUsage> {
    this.#check();
    checkSegments(options);
    const events = this.#guarded("read", this.#runRead(input, options));
    for await (const event of events) options.onProgress?.(event);
    return this.usage();
  }

  fork(): Session {
    this.#check();
    if (this.#running !== null) throw busy("fork the session");
    return new LocalSession(this.#parts, {}, this.#owner, {
      options: this.#options,
      sequence: this.#lasting.fork(),
      conversation: this.#conversation.fork(),
    });
  }

  async save(): Promise<Blob> {
    const run = this.#guarded("save the session", this.#runSave(), () => true);
    for await (const blob of run) return blob;
    throw new Error("Broken invariant: a snapshot is made or an error is thrown");
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
    this.#lasting.reset();
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
   * One thing at a time. `dispose` in the middle of one ends it after the step at hand, whether or
   * not anyone asks for more; who does is told, unless the last event is out.
   */
  async *#guarded<Event>(
    action: string,
    run: AsyncGenerator<Event>,
    isLast: (event: Event) => boolean = () => false,
  ): AsyncGenerator<Event> {
    this.#check();
    if (this.#running !== null) throw busy(action);
    this.#running = run;
    let isDone = false;
    try {
      for await (const event of run) {
        isDone = isLast(event);
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
    yield* this.#readInput(input, options, false);
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

  async *#runRead(input: GenerateInput, options: ReadOptions): AsyncGenerator<ReadEvent> {
    yield* this.#readInput(input, options, true);
    this.#conversation.add(input, undefined);
  }

  async *#runSave(): AsyncGenerator<Blob> {
    const { saveSnapshot } = await import("./snapshot/save.ts");
    yield await saveSnapshot({
      parts: this.#parts,
      options: this.#options,
      sequence: this.#lasting,
      conversation: this.#conversation,
    });
  }

  /** @param isOpen No answer follows: the last message is left open, and nothing is the question. */
  async *#readInput(
    input: GenerateInput,
    options: SegmentOptions & { readonly signal?: AbortSignal },
    isOpen: boolean,
  ): AsyncGenerator<ReadEvent> {
    const { signal } = options;
    throwIfAborted(signal, isOpen ? "read" : "generate");
    const { tokenizer } = this.#parts;
    const conversation = this.#conversation;
    const own = conversation.tokensOf(input, this.#sequence.cache.seen === 0, isOpen);
    const wanted = { ...this.#options.segments, ...options };
    const segments = promptSegments(input, own, tokenizer, conversation, wanted, isOpen);
    if (isOpen) this.#sequence.checkQuestion(segments);
    this.#stopwatch.start(this.#sequence.nPending + own.length);
    yield* this.#lasting.read(own, segments, signal);
    this.#stopwatch.prefilled();
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
      this.#lasting.show(shown.isStopped ? undefined : choice.token);
      yield { type: "token", ...choice, text };
      if (shown.isStopped) return "stop";
      if (isLast) return "length";
      throwIfAborted(options.signal, "generate");
      yield* this.#lasting.step(choice.token, options.signal);
      await yielder.pause();
    }
  }

  /** @param nMore Tokens that may follow. */
  async #choose(options: GenerateOptions, sampler: Sampler, nMore: number): Promise<Choice> {
    const { logprobs } = options;
    if (logprobs === undefined) {
      if (isGreedy(options)) return { token: await this.#lasting.best(nMore) };
      return { token: await this.#lasting.draw(sampler, nMore) };
    }
    const logits = await this.#lasting.logits();
    const token = sampler.sample(logits, this.#sequence.recent);
    const { tokenizer } = this.#parts;
    const { logprob, top } = sampler.logprobs(logits, token, logprobs);
    const topLogprobs = top.map((one) => ({ ...one, text: tokenizer.piece(one.token) }));
    return { token, logprob, topLogprobs };
  }

  get #sequence(): Sequence {
    return this.#lasting.current;
  }

  #check(): void {
    if (this.#isDisposed) {
      throw new KvasirError("disposed", "Cannot use the session: it was disposed");
    }
  }

  #free(): void {
    this.#lasting.dispose();
    this.#owner.remove(this);
  }
}

function isGreedy(options: GenerateOptions): boolean {
  const { temperature = 0, repetitionPenalty = 1, frequencyPenalty = 0 } = options;
  const { presencePenalty = 0 } = options;
  const hasPenalty = repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
  return temperature === 0 && !hasPenalty;
}

function busy(action: string): KvasirError {
  return new KvasirError(
    "busy",
    `Cannot ${action}: the session is busy reading, answering or saving`,
  );
}

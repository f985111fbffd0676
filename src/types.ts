// The types that people hold: options, events and reports of models and sessions.
import type { MethodDefinition } from "./compression/define-method.ts";
import type { SegmentKind, Splitter } from "./compression/segments.ts";
import type { Activations, CodecName, EngineName } from "./engine/engine.ts";
import type { ModelConfig } from "./model/config.ts";
import type { OpenProgress, Runtime } from "./runtime/runtime.ts";
import type { ChatMessage, ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";

/** How much may stay in the cache. `tokens` and `keep` per kv head, `bytes` for the whole cache. */
export type Budget =
  | { readonly tokens: number }
  | { readonly keep: number } // fraction kept, 0 < keep <= 1
  | { readonly bytes: number };

/** Which prompts are compressed: the first alone, or each, over all rows, down to the budget. */
export type TurnPolicy = "first" | "each";

/**
 * Why rows were dropped: a prompt was read, a session would have held more than it may, or a method
 * that works in decode came to a step of its own.
 */
export type CompressReason = "prompt" | "overflow" | "step";

/** How far a load is. Phases come in this order; those that are not needed are left out. */
export interface LoadProgress {
  /**
   * `wait`: another tab or process downloads the same file; its bytes. `download`: bytes from the
   * network. `check`: the SHA-256 of a stored file is computed. `load`: weights go to the engine.
   */
  readonly phase: OpenProgress["phase"] | "load";
  /** Bytes so far, of this phase. */
  readonly bytes: number;
  /** undefined where the server does not say; never in `load`. */
  readonly totalBytes: number | undefined;
  /** Bytes a second over the last seconds of this phase; 0 while nothing can be said. */
  readonly rate: number;
}

export interface LoadOptions {
  /** Default "auto". */
  readonly engine?: EngineName | "auto";
  /**
   * What quantised weights multiply: "q8", int8 per block of 32, or "f32". Default "q8" on the CPU, "f32"
   * on the engine "webgpu".
   */
  readonly activations?: Activations;
  /**
   * Threads of the engine "wasm", 1 to 64; fewer where workers or shared memory are missing (see
   * `model.engine.nThreads`). The results are the same bits. Default: the physical cores, at most 8;
   * 1 for models below 16 MiB.
   */
  readonly threads?: number;
  /**
   * Engine "webgpu". `auto`: the first load on a GPU tries a few sizes of its kernels, below half a
   * second, and the fastest are kept for later loads, in the origin's private file system or the user's
   * cache folder. They change a result's last bits at most. `off`: the usual sizes. Default "auto".
   */
  readonly tuning?: "auto" | "off";
  /** Bound by the entry point of each platform; tests pass their own. */
  readonly runtime?: Runtime;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Expected SHA-256 of the file, hex. */
  readonly sha256?: string;
  /**
   * Keep what is downloaded from an http(s) URL, so that the next load needs no network: in the
   * origin's private file system (browsers) or the user's cache folder (Node, Deno). A text names a
   * store of its own. Default: kept where there is room and leave to, else streamed without an error;
   * `true` makes it an error, `false` keeps nothing.
   */
  readonly store?: boolean | string;
  /**
   * Ask the server whether a stored file was replaced; where it cannot be reached, the stored one is
   * used. With `sha256` nothing has to be asked. Default true.
   */
  readonly revalidate?: boolean;
}

export interface Model {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** null where the file carries no template. */
  readonly chatTemplate: ChatTemplate | null;
  readonly engine: {
    readonly name: EngineName;
    readonly activations: Activations;
    readonly nThreads: number;
  };
  /** Milliseconds from the call of `load` to ready. */
  readonly loadMs: number;
  session(options?: SessionOptions): Session;
  /**
   * A session that goes on where it was saved, with the options that it had.
   *
   * @param snapshot What `Session.save` returned.
   * @throws {KvasirError} `bad-snapshot` for a file that is damaged, cut short, of another version or
   *   of another model; `not-found` for a method that is not there; `out-of-memory`.
   */
  restore(snapshot: Blob | ArrayBuffer | Uint8Array, options?: RestoreOptions): Promise<Session>;
  /** Frees weights; sessions of the model are disposed too. */
  dispose(): void;
}

export interface RestoreOptions {
  /** Methods of your own, one of which the session may have had. */
  readonly methods?: readonly MethodDefinition[];
}

export interface SessionOptions {
  /** A method's name with its parameters, or a method of your own. Default "full". */
  readonly method?:
    string | { readonly name: string; readonly [parameter: string]: unknown } | MethodDefinition;
  /** Required for every method but "full". */
  readonly budget?: Budget;
  /**
   * Storage of the rows: `q8` (int8 with a scale per row) takes half of "f16", on the engines `wasm`
   * and `reference`. Default "f16"; "f32" with `activations: "f32"` on the CPU.
   */
  readonly codec?: CodecName;
  /** Prompt tokens per step of prefill. Default 128; 2,048 on WebGPU. */
  readonly chunkSize?: number;
  /** Rows kept free for the answer before a growth. Default 64. */
  readonly headroom?: number;
  /**
   * `strict`: the last prompt token is read again over the compressed cache, so that the first
   * answer token sees only what was kept. `usual`: the first token comes from the full prefill.
   * Default "strict".
   */
  readonly flow?: "strict" | "usual";
  /**
   * `first`: later prompts and answers stay whole until the model's context or a budget in bytes is
   * reached. `each`: every prompt is compressed, over all rows, to the budget, and so is an answer
   * that grows past it by more than the headroom. Default "each" for methods that work in decode,
   * else "first".
   */
  readonly turnPolicy?: TurnPolicy;
  /** Defaults for each prompt of the session, as in `GenerateOptions`. */
  readonly splitter?: SegmentOptions["splitter"];
  readonly protect?: SegmentOptions["protect"];
}

/**
 * A part of a prompt: tokens [begin, end) of it, from 0 and with bos, or a text in it, looked for
 * after the mark before.
 */
export type SegmentMark = {
  readonly kind: Exclude<SegmentKind, "generated">;
  /** Its rows stay whatever they score. Default false. */
  readonly isForced?: boolean;
} & ({ readonly begin: number; readonly end: number } | { readonly text: string });

/** What methods may know about the parts of a prompt. */
export interface SegmentOptions {
  /** Marks, ascending; without them messages mark themselves: system, last user (the question). */
  readonly segments?: readonly SegmentMark[];
  /**
   * Cuts a text, or the last user message, into shots with the question last; `chat-turn` makes each
   * earlier turn of the messages a shot. Default: no shots.
   */
  readonly splitter?: Splitter | "chat-turn";
  /** Kinds whose rows stay whatever they score. Default none. */
  readonly protect?: readonly SegmentKind[];
}

export interface SamplingOptions {
  /** 0 is greedy. Default 0. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  /** Default 0. */
  readonly seed?: number;
}

export interface GenerateOptions extends SamplingOptions, SegmentOptions {
  readonly signal?: AbortSignal;
  /** Default 256. */
  readonly maxTokens?: number;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: string | readonly string[];
  /** Number of alternatives reported with each token, 0 for only the token's own. Default: none. */
  readonly logprobs?: number;
  /** Do not stop at the end-of-text tokens. Default false. */
  readonly ignoreEos?: boolean;
}

export interface ReadOptions extends SegmentOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: ReadEvent) => void;
}

/** Chat messages, a plain text, or token ids. */
export type GenerateInput =
  string | readonly ChatMessage[] | { readonly tokens: ArrayLike<number> };

export interface TokenLogprob {
  readonly token: number;
  readonly text: string;
  /** Nats. */
  readonly logprob: number;
}

export type FinishReason = "stop" | "length";

/** While a prompt is read and rows are dropped. */
export type ReadEvent =
  /** After each chunk of each layer; done = tokens x layers finished. */
  | { readonly type: "prefill"; readonly done: number; readonly total: number }
  /** Rows were dropped. */
  | {
      readonly type: "compressed";
      readonly reason: CompressReason;
      readonly usage: CacheUsage;
      readonly compression: CompressionReport;
    };

export type GenerateEvent =
  | ReadEvent
  | {
      readonly type: "token";
      readonly token: number;
      /** What can be shown now; "" while a character is incomplete. */
      readonly text: string;
      readonly logprob?: number;
      readonly topLogprobs?: readonly TokenLogprob[];
    }
  | {
      readonly type: "done";
      readonly reason: FinishReason;
      /** The whole answer. */
      readonly text: string;
      readonly usage: SessionUsage;
    };

export interface CacheUsage {
  /** Bytes that a cache would hold that drops nothing: all rows of all tokens seen, positions, headroom. */
  readonly fullBytes: number;
  /** Bytes held now: rows, positions, headroom, scratch. */
  readonly bytes: number;
  readonly peakBytes: number;
  /** Rows held, over all layers and kv heads. */
  readonly keptRows: number;
  /** Rows that the full cache would hold. */
  readonly fullRows: number;
  readonly perLayer: readonly { readonly bytes: number; readonly rows: readonly number[] }[];
}

/** What the last compression did. */
export interface CompressionReport {
  /** null: nothing was compressed yet. */
  readonly reason: CompressReason | null;
  /** Rows kept beyond the budget because they were forced. */
  readonly overflowRows: number;
  /**
   * Per layer the share of the observed attention that the kept rows hold, 0 to 1; null where the
   * method observes none. A list of no layers: nothing was compressed yet.
   */
  readonly keptMass: readonly (number | null)[];
  /** Facts in plain words: underfull budgets, fallbacks taken. */
  readonly notes: readonly string[];
}

export interface SessionUsage {
  readonly tokens: { readonly prompt: number; readonly completion: number };
  /** Tokens seen, the position of the next one. */
  readonly position: number;
  readonly cache: CacheUsage;
  readonly compression: CompressionReport;
  readonly timing: {
    readonly timeToFirstTokenMs: number;
    readonly prefillMs: number;
    readonly prefillTokensPerSecond: number;
    readonly decodeTokensPerSecond: number;
  };
}

export interface Session {
  /**
   * Reads `input` and streams the answer. One at a time per session. Breaking out of the loop or
   * aborting leaves the session usable: what was read and answered so far stays in the cache.
   *
   * Messages are the new ones alone, or the whole conversation so far with the new ones: what the
   * session has read is not read again. A conversation that differs from what was read is refused.
   * @throws {KvasirError} `aborted`, `busy`, `cache-full`, `bad-option`.
   */
  generate(input: GenerateInput, options?: GenerateOptions): AsyncIterable<GenerateEvent>;
  /**
   * Reads and compresses `input` without an answer: a document that questions follow, here or in
   * forks and restored sessions. The last message is left open, so that a next one of the same role
   * goes on in it, after an empty line.
   * @returns What `usage` says afterwards.
   * @throws {KvasirError} `unsupported-option` for a method that chooses rows by the question where
   *   none is marked, `aborted`, `busy`, `cache-full`, `bad-option`.
   */
  read(input: GenerateInput, options?: ReadOptions): Promise<SessionUsage>;
  /**
   * Another session that has read the same, with a copy of the cache: `usage` counts it there too.
   * What follows in one is nothing to the other.
   * @throws {KvasirError} `busy` while the session reads, answers or saves, `out-of-memory`,
   *   `disposed`.
   */
  fork(): Session;
  /**
   * The session as a file for `Model.restore`, on any engine and runtime: docs/snapshot.md.
   * @throws {KvasirError} `busy`, `disposed`, `unsupported-option` for a method whose state is not
   *   plain data.
   */
  save(): Promise<Blob>;
  usage(): SessionUsage;
  /** Forgets everything read; keeps the options. */
  reset(): void;
  dispose(): void;
}

// What a page and its worker say to each other, as types only. A model and its sessions in a worker have
// the interface of local ones, made asynchronous by `Async`: a method that `Session` gains is there too.
import type { EngineMemory } from "../src/engine/engine.ts";
import type { ByteSource } from "../src/gguf/byte-source.ts";
import type { ModelConfig } from "../src/model/config.ts";
import type { ChatTemplate, TokenDecoder, Tokenizer } from "../src/tokenizer/tokenizer.ts";
import type { LoadOptions, Model, Session, SessionOptions } from "../src/types.ts";
import type { WireError } from "./errors-over-the-wire.ts";

/** Objects that stay in the worker; everything else is copied. */
type Held = Session | TokenDecoder | Tokenizer | ChatTemplate;

type Arrived<T> = T extends Held ? Async<T> : T;

type AsyncMember<M> = M extends (...args: infer Args) => infer Result
  ? (
      ...args: Args
    ) => [Result] extends [AsyncIterable<infer Event>]
      ? AsyncGenerator<Event>
      : Promise<Arrived<Awaited<Result>>>
  : Arrived<M>;

/** `T` in a worker: methods return promises, streams stay streams, data is data. */
export type Async<T> = { readonly [Key in keyof T]: AsyncMember<T[Key]> };

export type WorkerSession = Async<Session>;

/** A model in a worker. */
export interface WorkerModel extends Async<Model> {
  /** What the engine holds, bytes. */
  memory(): Promise<EngineMemory>;
}

export interface WorkerLoadOptions extends Omit<LoadOptions, "runtime"> {
  /**
   * One model for all tabs of the origin: the first loads it, the others join. Only for models from a
   * URL, with the same options. It runs in a SharedWorker, which has no thread pool; where there are no
   * SharedWorkers it runs in the tab's own worker, and other tabs are refused with `busy` meanwhile.
   * Default false: each tab has a worker, and the model, to itself.
   */
  readonly share?: boolean;
  /**
   * Modules whose exports include methods of your own (`defineMethod`), known by their ids to the
   * sessions then: functions cannot be sent to a worker. URLs, relative to the page; in Node paths.
   */
  readonly methods?: readonly (string | URL)[];
}

/** What `createWorkerSession` takes: of the model, and of the session. */
export interface WorkerSessionOptions extends WorkerLoadOptions {
  readonly session?: SessionOptions;
}

/** Where a model's bytes come from, as it can be sent. */
export type WireSource =
  | { readonly kind: "data"; readonly data: string | Blob | Uint8Array | ArrayBuffer }
  | { readonly kind: "source"; readonly name: string; readonly size: number };

/** A byte source of the caller's own, which stays in the page. */
export type SourceReader = Required<Pick<ByteSource, "read" | "close" | "finish">>;

export interface WireLoadOptions extends Omit<LoadOptions, "runtime" | "signal" | "onProgress"> {
  readonly methods: readonly string[];
}

/** A loaded model: data, and the numbers of the objects that stay in the worker. */
export interface ModelFacts {
  readonly id: number;
  readonly config: ModelConfig;
  readonly engine: Model["engine"];
  readonly loadMs: number;
  readonly tokenizer: DataOf<Tokenizer> & { readonly id: number };
  /** null where the file carries no template. */
  readonly chatTemplate: number | null;
}

/** A model as the worker holds it for a page. */
export interface HeldModel extends Pick<Model, "session" | "restore"> {
  memory(): EngineMemory;
  /** An engine that went away is replaced by another. */
  describeEngine(): Model["engine"];
}

/** The fields of `T` that are no methods. */
export type DataOf<T> = {
  readonly [Key in keyof T as T[Key] extends (...args: never) => unknown ? never : Key]: T[Key];
};

/** The worker's side, through comlink; one for each page that is connected. */
export interface Host {
  /**
   * The first call: resolves when the worker is ready to be told apart from a dead one.
   * @param page Name of the lock that the page holds while it lives; null where there are no locks.
   * @returns Name of the lock that the worker holds while it lives; null likewise.
   */
  hello(page: string | null): Promise<string | null>;
  /**
   * Loads the model, and answers on `port` with progress and `ModelFacts`.
   * @param reader Where the page answers as a `SourceReader`, for a source of the kind `source`.
   */
  load(
    source: WireSource,
    options: WireLoadOptions,
    port: MessagePort,
    reader: MessagePort | null,
  ): void;
  /** Calls a method; a result that stays in the worker comes back as its number. */
  call(id: number, method: string, args: readonly unknown[]): Promise<unknown>;
  /**
   * Calls a method that streams, or that takes a signal in its last argument, and answers on `port`
   * with events and the result.
   */
  run(id: number, method: string, args: readonly unknown[], port: MessagePort): void;
  /** Forgets an object. */
  release(id: number): void;
  /** The page is done: everything it holds is disposed. */
  leave(): Promise<void>;
}

/** Page to worker, on the port of one call. */
export type ToWorker =
  /** So many more events are wanted: none is sent without. */
  | { readonly kind: "credit"; readonly n: number }
  | { readonly kind: "abort"; readonly reason: WireError }
  /** No more is wanted. */
  | { readonly kind: "return" };

/** Worker to page, on the port of one call; `end` and `error` are the last. */
export type ToPage =
  | { readonly kind: "event"; readonly event: unknown }
  | { readonly kind: "end"; readonly value: unknown }
  | { readonly kind: "error"; readonly error: WireError };

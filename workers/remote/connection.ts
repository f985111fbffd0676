// The page's side of a worker: calls that end with an error when the worker is gone.
import { type Endpoint, type Remote, releaseProxy, wrap } from "comlink";
import { KvasirError } from "../../src/errors.ts";
import { holdLife, type Life, whenGone } from "../../src/runtime/threads/locks.ts";
import type { Host } from "../session-api.ts";
import { keepErrors } from "../errors-over-the-wire.ts";

/** A worker as its platform made it. */
export interface SpawnedWorker {
  readonly endpoint: Endpoint;
  /** Called when the worker cannot start or dies, as far as the platform tells. */
  onFailure(callback: (reason: string) => void): void;
  /** @param hasLeft The worker was told to end, and knows that nothing follows. */
  terminate(hasLeft: boolean): void;
  /** Whether the program must stay alive for it; absent where programs do in any case. */
  keepAlive?(isNeeded: boolean): void;
}

export class Connection {
  readonly #worker: SpawnedWorker;
  readonly #host: Remote<Host>;
  readonly #lostCallbacks = new Set<(error: KvasirError) => void>();
  #life: Life | null = null;
  #stopWaiting: () => void = () => {};
  #end: KvasirError | null = null;
  /** `close` was called: however the worker ends now, that is why. */
  #closing: KvasirError | null = null;
  #closed: Promise<void> | null = null;
  #nPending = 0;

  private constructor(worker: SpawnedWorker) {
    keepErrors();
    this.#worker = worker;
    this.#host = wrap<Host>(worker.endpoint);
    worker.onFailure((reason) => this.#finish(lostError(reason)));
    worker.keepAlive?.(false);
  }

  /** @throws {KvasirError} `worker-lost` when the worker does not start. */
  static async open(worker: SpawnedWorker): Promise<Connection> {
    const connection = new Connection(worker);
    try {
      connection.#life = await holdLife("page");
      const page = connection.#life?.name ?? null;
      const lock = await connection.guard((host) => host.hello(page));
      if (lock !== null) {
        connection.#stopWaiting = whenGone(lock, () => {
          connection.#finish(lostError("it was terminated"));
        });
      }
      return connection;
    } catch (error) {
      connection.#finish(lostError("it did not start"));
      throw error;
    }
  }

  /**
   * The result of a call.
   * @throws {KvasirError} What the worker threw; `worker-lost` when it is gone, `disposed` after
   *   `close`; `unsupported-option` for what cannot be sent.
   */
  guard<T>(call: (host: Remote<Host>) => Promise<T>): Promise<T> {
    const end = this.#end ?? this.#closing;
    if (end !== null) return Promise.reject(end);
    return new Promise((resolve, reject) => {
      const stop = this.onEnd(reject);
      void Promise.resolve()
        .then(() => call(this.#host))
        .then(resolve, (error: Error) => reject(readable(error)))
        .finally(stop);
    });
  }

  /** Calls back when no answer can come any more; the program stays alive until `stop`. */
  onEnd(callback: (error: KvasirError) => void): () => void {
    const end = this.#end ?? this.#closing;
    if (end !== null) {
      callback(end);
      return () => {};
    }
    this.#lostCallbacks.add(callback);
    if (++this.#nPending === 1) this.#worker.keepAlive?.(true);
    return () => {
      if (!this.#lostCallbacks.delete(callback)) return;
      if (--this.#nPending === 0) this.#worker.keepAlive?.(false);
    };
  }

  get isEnded(): boolean {
    return this.#end !== null || this.#closing !== null;
  }

  /** Frees what the page holds in the worker and ends it; calls that are open end with `disposed`. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    if (this.#end !== null) return;
    const disposed = new KvasirError("disposed", "Cannot go on: the model was disposed");
    const open = [...this.#lostCallbacks];
    const left = this.guard((host) => host.leave());
    this.#closing = disposed;
    for (const callback of open) callback(disposed);
    await left.catch(() => {});
    this.#finish(disposed);
  }

  #finish(reason: KvasirError): void {
    if (this.#end !== null) return;
    const end = this.#closing ?? reason;
    this.#end = end;
    this.#stopWaiting();
    for (const callback of [...this.#lostCallbacks]) callback(end);
    this.#lostCallbacks.clear();
    this.#host[releaseProxy]();
    this.#worker.terminate(this.#closing !== null);
    this.#life?.release();
  }
}

function lostError(reason: string): KvasirError {
  return new KvasirError("worker-lost", `Cannot go on: the worker is gone (${reason})`);
}

/** What the page's own side may throw, in our words. */
function readable(error: Error): Error {
  if (error.name !== "DataCloneError") return error;
  return new KvasirError(
    "unsupported-option",
    `Cannot send an option to the worker: ${error.message}`,
    { cause: error },
  );
}

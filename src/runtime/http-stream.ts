// The bytes of a URL as one stream that outlives its connections: after a cut it goes on by a Range
// request from the byte where it broke. Knows nothing of files or models.
import { KvasirError, throwIfAborted } from "../errors.ts";
import {
  ChangedError,
  FinalError,
  isSameFile,
  readAnswer,
  type Validators,
} from "./http-answer.ts";

export interface HttpOptions {
  /** Tests and platforms with a fetch of their own. Default: the global one. */
  readonly fetch?: typeof fetch;
  readonly headers?: Readonly<Record<string, string>>;
  /** Failures in a row, without a byte between them, before giving up. Default 6. */
  readonly attempts?: number;
  /** Wait before the first repeat, ms; doubles each time, at most 16 s. Default 250. */
  readonly backoffMs?: number;
  /** A connection that brings nothing for so long counts as cut, ms. Default 30,000. */
  readonly stallMs?: number;
  /** How the platform's own HTTP cache is used; not every platform has one. */
  readonly cache?: RequestCache;
}

interface Connection {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly abort: () => void;
  /** What a skip received past the wanted byte. */
  pending: Uint8Array | null;
}

const MAX_BACKOFF_MS = 16_000;

export class HttpStream {
  readonly url: string;
  /** Offset of the next byte that `next` returns. */
  position: number;
  /** Bytes of the whole file; undefined where the server does not say. */
  size: number | undefined;
  /** False when the server answers Range requests with the whole file. */
  acceptsRanges = true;
  readonly #options: HttpOptions;
  #etag: string | undefined = undefined;
  #lastModified: string | undefined = undefined;
  #connection: Connection | null = null;
  #failures = 0;

  private constructor(url: string, options: HttpOptions, position: number) {
    this.url = url;
    this.#options = options;
    this.position = position;
  }

  /** @throws {KvasirError} `not-found`, `network`, `aborted`. */
  static async open(
    url: string,
    options: HttpOptions = {},
    position = 0,
    signal?: AbortSignal,
  ): Promise<HttpStream> {
    const stream = new HttpStream(url, options, position);
    await stream.#persist(signal, async () => stream.#connect(signal));
    return stream;
  }

  get validators(): Validators {
    return { etag: this.#etag, lastModified: this.#lastModified, size: this.size };
  }

  /** @returns The next bytes, never none, or null at the end. */
  async next(signal?: AbortSignal): Promise<Uint8Array | null> {
    if (this.size !== undefined && this.position >= this.size) return null;
    return this.#persist(signal, async () => {
      this.#connection ??= await this.#connect(signal);
      const bytes = await this.#receive(this.#connection, signal);
      if (bytes === null) {
        this.cancel();
        if (this.size !== undefined && this.position < this.size) throw new Error("cut");
        return null;
      }
      this.position += bytes.byteLength;
      this.#failures = 0;
      return bytes;
    });
  }

  /** The next call of `next` starts at `position`. */
  seek(position: number): void {
    if (position === this.position) return;
    this.cancel();
    this.position = position;
  }

  /** Closes the connection; `next` opens another. */
  cancel(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.abort();
  }

  /** Repeats `action` with growing waits until it works or fails for good. */
  async #persist<T>(signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    const { attempts = 6, backoffMs = 250 } = this.#options;
    for (;;) {
      throwIfAborted(signal, `read "${this.url}"`);
      try {
        return await action();
      } catch (cause) {
        this.cancel();
        throwIfAborted(signal, `read "${this.url}"`);
        if (cause instanceof KvasirError) throw cause;
        this.#failures += 1;
        if (cause instanceof FinalError || this.#failures >= attempts) {
          const reason = cause instanceof Error ? cause.message : String(cause);
          const message = `Cannot read "${this.url}" at byte ${this.position}: ${reason}`;
          throw new KvasirError("network", message, { cause });
        }
        await sleep(Math.min(backoffMs * 2 ** (this.#failures - 1), MAX_BACKOFF_MS), signal);
      }
    }
  }

  async #connect(signal: AbortSignal | undefined): Promise<Connection> {
    const controller = new AbortController();
    const { cache } = this.#options;
    const request = (this.#options.fetch ?? fetch)(this.url, {
      ...(cache === undefined ? {} : { cache }),
      headers: { ...this.#options.headers, Range: `bytes=${this.position}-` },
      signal: controller.signal,
    });
    const response = await this.#within(request, () => controller.abort(), signal);
    let start: number;
    try {
      start = this.#accept(response);
    } catch (error) {
      controller.abort();
      throw error;
    }
    if (response.body === null) throw new Error("an answer without a body");
    const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    const abort = (): void => {
      reader.cancel().catch(() => undefined); // it may have failed already: nothing is left to close
      controller.abort();
    };
    const connection: Connection = { reader, abort, pending: null };
    this.#connection = connection; // so that a failure in the skip closes it
    await this.#skip(connection, this.position - start, signal);
    return connection;
  }

  /** Compares an answer with those before. @returns The offset of its first byte. */
  #accept(response: Response): number {
    const answer = readAnswer(response, this.url, this.position);
    const { start, size, etag, lastModified, isRange } = answer;
    const { status } = response;
    if (!isSameFile(this.validators, answer)) {
      throw new ChangedError("the file changed on the server", status);
    }
    if (start > this.position) throw new FinalError(`the server began at byte ${start}`, status);
    this.size ??= size;
    this.#etag ??= etag;
    this.#lastModified ??= lastModified;
    this.acceptsRanges = isRange;
    return start;
  }

  /** Drops bytes in front of the wanted position, where the server sends the file from its start. */
  async #skip(connection: Connection, count: number, signal?: AbortSignal): Promise<void> {
    for (let left = count; left > 0;) {
      const bytes = await this.#receive(connection, signal);
      if (bytes === null) throw new ChangedError("the file is shorter than before", 200);
      left -= bytes.byteLength;
      if (left < 0) connection.pending = bytes.subarray(bytes.byteLength + left);
    }
  }

  async #receive(connection: Connection, signal?: AbortSignal): Promise<Uint8Array | null> {
    const { reader, abort, pending } = connection;
    connection.pending = null;
    if (pending !== null) return pending;
    for (;;) {
      const { done, value } = await this.#within(reader.read(), abort, signal);
      if (done) return null;
      if (value.byteLength > 0) return value;
    }
  }

  /** Awaits a step of the network, but no longer than `stallMs` and not after an abort. */
  async #within<T>(step: Promise<T>, abort: () => void, signal?: AbortSignal): Promise<T> {
    const { stallMs = 30_000 } = this.#options;
    let stop = (): void => undefined;
    const stopped = new Promise<never>((_, reject) => {
      const fail = (message: string) => (): void => {
        abort();
        reject(new Error(message));
      };
      const timer = setTimeout(fail(`nothing came for ${stallMs} ms`), stallMs);
      const onAbort = fail("aborted");
      signal?.addEventListener("abort", onAbort, { once: true });
      stop = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
    });
    step.catch(() => undefined); // a step given up may still fail later
    try {
      return await Promise.race([step, stopped]);
    } finally {
      stop();
    }
  }
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

// A file that is read while it is downloaded and stored: the loading of a model does not wait for its
// last byte. Pieces stay here a while after they came; what a reader asks for later is read from the
// store once all is there.
import { KvasirError, throwIfAborted } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import { checkRange } from "../../gguf/sources.ts";
import { PIECE_BYTES } from "./record.ts";

const MAX_PIECES = 8;

interface Waiter {
  readonly index: number;
  /** With null the stored file is there. */
  readonly resolve: (piece: Uint8Array | null) => void;
  readonly reject: (error: Error) => void;
}

export class FillingSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #abort: () => void;
  readonly #pieces = new Map<number, Uint8Array>();
  readonly #waiters = new Set<Waiter>();
  readonly #ended: Promise<void>;
  #settle: () => void = () => undefined;
  #stored: ByteSource | null = null;
  #failure: Error | null = null;
  #isClosed = false;

  /** @param abort Ends the download; `fail` is called for it. */
  constructor(name: string, size: number, abort: () => void) {
    this.name = name;
    this.size = size;
    this.#abort = abort;
    this.#ended = new Promise((resolve) => (this.#settle = resolve));
  }

  /** A piece has come; its bytes belong to the source from now on. */
  offer(index: number, bytes: Uint8Array): void {
    this.#pieces.set(index, bytes);
    for (const oldest of this.#pieces.keys()) {
      if (this.#pieces.size <= MAX_PIECES) break;
      this.#pieces.delete(oldest);
    }
    for (const waiter of [...this.#waiters]) if (waiter.index === index) waiter.resolve(bytes);
  }

  /** All is stored, and read from `stored` from now on, which belongs to the source. */
  end(stored: ByteSource): void {
    this.#stored = stored;
    this.#pieces.clear();
    for (const waiter of [...this.#waiters]) waiter.resolve(null);
    this.#settle();
  }

  /** No more will come. */
  fail(error: Error): void {
    this.#failure = error;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.#settle();
  }

  /** @throws {KvasirError} What ended the download, for bytes that have not come. */
  async read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, byteOffset, byteLength);
    const bytes = new Uint8Array(byteLength);
    await this.readInto(byteOffset, bytes, signal);
    return bytes;
  }

  async readInto(byteOffset: number, out: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { byteLength } = out;
    checkRange(this, byteOffset, byteLength);
    for (let done = 0; done < byteLength;) {
      if (this.#isClosed) throw new KvasirError("disposed", `Cannot read "${this.name}": closed`);
      throwIfAborted(signal, `read "${this.name}"`);
      const at = byteOffset + done;
      const piece = await this.#piece(Math.floor(at / PIECE_BYTES), signal);
      const left = byteLength - done;
      const wanted =
        piece?.subarray(at % PIECE_BYTES).subarray(0, left) ??
        (await this.#stored?.read(at, left, signal)) ??
        new Uint8Array();
      out.set(wanted, done);
      done += wanted.byteLength;
    }
  }

  async finish(): Promise<void> {
    await this.#ended;
    await this.close();
    if (this.#failure !== null) throw this.#failure;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#stored === null && this.#failure === null) this.#abort();
    await this.#ended;
    this.#pieces.clear();
    await this.#stored?.close?.();
  }

  /** @returns null where it is to be read from the store. */
  #piece(index: number, signal: AbortSignal | undefined): Promise<Uint8Array | null> {
    if (this.#stored !== null) return Promise.resolve(null);
    const piece = this.#pieces.get(index);
    if (piece !== undefined) return Promise.resolve(piece);
    const action = `read "${this.name}"`;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        try {
          throwIfAborted(signal, action);
        } catch (error) {
          waiter.reject(error as KvasirError);
        }
      };
      const stop = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        index,
        resolve: (bytes) => (stop(), resolve(bytes)),
        reject: (error) => (stop(), reject(error)),
      };
      if (this.#failure !== null) return waiter.reject(this.#failure);
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

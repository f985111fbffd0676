// Random access to a file on a web server. One connection is kept and read forward; only a jump opens
// another, so that loading a model in file order is one request.
import type { ByteSource } from "../gguf/byte-source.ts";
import type { OpenProgress } from "./runtime.ts";
import { KvasirError, throwIfAborted } from "../errors.ts";
import { BufferSource, checkRange } from "../gguf/sources.ts";
import { HttpStream, type HttpOptions } from "./http-stream.ts";

export interface FetchSourceOptions extends HttpOptions {
  /** Aborts the opening; each read takes its own signal. */
  readonly signal?: AbortSignal;
  /** Called as bytes arrive, over all reads. */
  readonly onProgress?: (progress: OpenProgress) => void;
}

/** Reads no longer than this go through the cache: a header is many small reads. */
const BLOCK_BYTES = 1 << 20;
const MAX_BLOCKS = 8;
/** A gap this small is read and dropped; it costs less than another request. */
const MAX_GAP_BYTES = 1 << 20;

/**
 * Opens a file over HTTP. A server without Range requests is read whole into memory.
 *
 * @throws {KvasirError} `not-found` (404, 410), `network` (refused, or given up), `aborted`.
 */
export async function openFetchSource(
  url: string | URL,
  options: FetchSourceOptions = {},
): Promise<ByteSource> {
  const { signal, onProgress } = options;
  const stream = await HttpStream.open(String(url), options, 0, signal);
  const { size } = stream;
  if (stream.acceptsRanges && size !== undefined) return new FetchSource(stream, size, onProgress);
  return new BufferSource(await readAll(stream, signal, onProgress), stream.url);
}

/** Reads a stream to its end. */
async function readAll(
  stream: HttpStream,
  signal: AbortSignal | undefined,
  onProgress: FetchSourceOptions["onProgress"],
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await stream.next(signal);
    if (chunk === null) break;
    chunks.push(chunk);
    onProgress?.({ phase: "download", bytes: stream.position, totalBytes: stream.size });
  }
  const bytes = new Uint8Array(stream.position);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

class FetchSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #stream: HttpStream;
  readonly #onProgress: FetchSourceOptions["onProgress"];
  /** Block number -> bytes, the least recently used first. */
  readonly #blocks = new Map<number, Uint8Array>();
  /** Received, but past the end of the last read. */
  #ahead: Uint8Array = new Uint8Array(0);
  #received = 0;
  #isClosed = false;
  /** Reads share one stream, so they run one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(stream: HttpStream, size: number, onProgress: FetchSourceOptions["onProgress"]) {
    this.name = stream.url;
    this.size = size;
    this.#stream = stream;
    this.#onProgress = onProgress;
  }

  async read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, byteOffset, byteLength);
    const bytes = new Uint8Array(byteLength);
    await this.readInto(byteOffset, bytes, signal);
    return bytes;
  }

  readInto(byteOffset: number, out: Uint8Array, signal?: AbortSignal): Promise<void> {
    const turn = this.#queue.then(() => this.#read(byteOffset, out, signal));
    this.#queue = turn.catch(() => undefined); // the caller gets the error
    return turn;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#blocks.clear();
    this.#stream.cancel();
    return Promise.resolve();
  }

  async #read(byteOffset: number, out: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { byteLength } = out;
    if (this.#isClosed) throw new KvasirError("disposed", `Cannot read "${this.name}": closed`);
    throwIfAborted(signal, `read "${this.name}"`);
    checkRange(this, byteOffset, byteLength);
    for (let done = 0; done < byteLength;) {
      const at = byteOffset + done;
      const index = Math.floor(at / BLOCK_BYTES);
      // What is long, or lies in a block whose begin has passed by, begins with what is here and goes on
      // from the stream.
      const isStreamed =
        byteLength > BLOCK_BYTES || (at >= this.#start && index * BLOCK_BYTES < this.#start);
      if (isStreamed && !this.#blocks.has(index)) {
        await this.#fill(out.subarray(done), at, signal);
        return;
      }
      const block = await this.#block(index, signal);
      const piece = block.subarray(at % BLOCK_BYTES).subarray(0, byteLength - done);
      out.set(piece, done);
      done += piece.byteLength;
    }
  }

  async #block(index: number, signal?: AbortSignal): Promise<Uint8Array> {
    let block = this.#blocks.get(index);
    this.#blocks.delete(index);
    if (block === undefined) {
      const start = index * BLOCK_BYTES;
      block = new Uint8Array(Math.min(BLOCK_BYTES, this.size - start));
      await this.#fill(block, start, signal);
    }
    this.#blocks.set(index, block);
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= MAX_BLOCKS) break;
      this.#blocks.delete(oldest);
    }
    return block;
  }

  /** The next byte that the stream gives. */
  get #start(): number {
    return this.#stream.position - this.#ahead.byteLength;
  }

  /** Fills `out` from the stream, going on where it stands when that is near. */
  async #fill(out: Uint8Array, byteOffset: number, signal?: AbortSignal): Promise<void> {
    if (byteOffset < this.#start || byteOffset > this.#stream.position + MAX_GAP_BYTES) {
      this.#ahead = new Uint8Array(0);
      this.#stream.seek(byteOffset);
    }
    for (let done = 0; done < out.byteLength;) {
      if (this.#ahead.byteLength === 0) await this.#receive(signal);
      const gap = byteOffset + done - (this.#stream.position - this.#ahead.byteLength);
      const piece = this.#ahead.subarray(gap).subarray(0, out.byteLength - done);
      out.set(piece, done);
      done += piece.byteLength;
      this.#ahead = this.#ahead.subarray(gap + piece.byteLength);
    }
  }

  async #receive(signal?: AbortSignal): Promise<void> {
    const chunk = await this.#stream.next(signal);
    if (chunk === null) {
      throw new KvasirError(
        "network",
        `Cannot read "${this.name}": it ended before ${this.size} bytes`,
      );
    }
    this.#ahead = chunk;
    this.#received += chunk.byteLength;
    const bytes = Math.min(this.#received, this.size);
    this.#onProgress?.({ phase: "download", bytes, totalBytes: this.size });
  }
}

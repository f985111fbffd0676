// Bytes that arrive in any sizes -> whole pieces of a stored file, each hashed as it came. One piece
// is written while the next is received.
import type { Sha256Stream, StorageWriter } from "../storage/storage.ts";
import { hashPiece, PIECE_BYTES } from "./record.ts";

export type OnPiece = (index: number, bytes: Uint8Array) => void;

export class PartWriter {
  readonly #writer: StorageWriter;
  readonly #whole: Sha256Stream | undefined;
  readonly #pieces: string[];
  /** Filled one after the other: one is received into while the other is written. */
  readonly #buffers = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)];
  readonly #onPiece: OnPiece | undefined;
  #nPieces: number;
  #iBuffer = 0;
  #nBuffered = 0;
  #byteLength: number;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param pieces Hashes of the whole pieces that are stored already.
   * @param whole Hash of the whole file, which has seen those pieces.
   * @param onPiece Is given each piece as it has come, to keep.
   */
  constructor(
    writer: StorageWriter,
    pieces: readonly string[],
    whole?: Sha256Stream,
    onPiece?: OnPiece,
  ) {
    this.#onPiece = onPiece;
    this.#nPieces = pieces.length;
    this.#writer = writer;
    this.#pieces = [...pieces];
    this.#byteLength = pieces.length * PIECE_BYTES;
    this.#whole = whole;
  }

  /** Bytes handed to the driver. */
  get byteLength(): number {
    return this.#byteLength;
  }

  get pieces(): readonly string[] {
    return [...this.#pieces];
  }

  /** @throws {KvasirError} `storage-full`, `unavailable`. */
  async add(bytes: Uint8Array): Promise<void> {
    this.#whole?.update(bytes);
    for (let done = 0; done < bytes.byteLength;) {
      const room = this.#buffer.subarray(this.#nBuffered);
      const taken = bytes.subarray(done, done + room.byteLength);
      room.set(taken);
      done += taken.byteLength;
      this.#nBuffered += taken.byteLength;
      if (this.#nBuffered === PIECE_BYTES) await this.#next();
    }
  }

  /** Ends the file with what is left, and flushes. */
  async finish(): Promise<void> {
    if (this.#nBuffered > 0) await this.#next();
    await this.flush();
  }

  /** Whole pieces outlive this page or process from now on. */
  async flush(): Promise<void> {
    await this.#writing;
    await this.#writer.flush();
  }

  get #buffer(): Uint8Array {
    return this.#buffers[this.#iBuffer] as Uint8Array;
  }

  async #next(): Promise<void> {
    const piece = this.#buffer.subarray(0, this.#nBuffered);
    await this.#writing;
    this.#onPiece?.(this.#nPieces++, piece);
    this.#writing = this.#store(piece);
    this.#writing.catch(() => undefined); // the next call gets the error
    if (this.#onPiece !== undefined) this.#buffers[this.#iBuffer] = new Uint8Array(PIECE_BYTES);
    this.#iBuffer = 1 - this.#iBuffer;
    this.#nBuffered = 0;
  }

  async #store(piece: Uint8Array): Promise<void> {
    const [hash] = await Promise.all([hashPiece(piece), this.#writer.write(piece)]);
    this.#pieces.push(hash);
    this.#byteLength += piece.byteLength;
  }
}

// A stored file, checked as it is read: whole pieces are read, hashed, and handed on in the ranges
// that are asked for. The piece after the last is read ahead, so that disk, hash and the reader's own
// work overlap when the file is read in order.
import { KvasirError, throwIfAborted } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import { checkRange } from "../../gguf/sources.ts";
import { hashPiece, PIECE_BYTES } from "./record.ts";

const MAX_PIECES = 3;

export class VerifiedSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #source: ByteSource;
  readonly #hashes: readonly string[];
  readonly #onDamage: () => Promise<void>;
  /** Piece number -> its bytes, the least recently used first. */
  readonly #pieces = new Map<number, Promise<Uint8Array>>();
  #isClosed = false;

  /**
   * @param hashes SHA-256 of each piece of the source.
   * @param onDamage Called, and awaited, before the first piece with another hash is refused.
   */
  constructor(
    name: string,
    source: ByteSource,
    hashes: readonly string[],
    onDamage: () => Promise<void>,
  ) {
    this.name = name;
    this.size = source.size;
    this.#source = source;
    this.#hashes = hashes;
    this.#onDamage = onDamage;
  }

  /** @throws {KvasirError} `checksum` when the stored bytes are not those that were stored. */
  async read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, byteOffset, byteLength);
    const bytes = new Uint8Array(byteLength);
    await this.readInto(byteOffset, bytes, signal);
    return bytes;
  }

  async readInto(byteOffset: number, out: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { byteLength } = out;
    if (this.#isClosed) throw new KvasirError("disposed", `Cannot read "${this.name}": closed`);
    throwIfAborted(signal, `read "${this.name}"`);
    checkRange(this, byteOffset, byteLength);
    for (let done = 0; done < byteLength;) {
      const at = byteOffset + done;
      const piece = await this.#piece(Math.floor(at / PIECE_BYTES));
      throwIfAborted(signal, `read "${this.name}"`);
      const wanted = piece.subarray(at % PIECE_BYTES).subarray(0, byteLength - done);
      out.set(wanted, done);
      done += wanted.byteLength;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.allSettled(this.#pieces.values()); // a piece read ahead still uses the source
    this.#pieces.clear();
    await this.#source.close?.();
  }

  #piece(index: number): Promise<Uint8Array> {
    const piece = this.#use(index);
    if (index + 1 < this.#hashes.length) void this.#use(index + 1);
    return piece;
  }

  #use(index: number): Promise<Uint8Array> {
    const piece = this.#pieces.get(index) ?? this.#readPiece(index);
    this.#pieces.delete(index);
    this.#pieces.set(index, piece);
    piece.catch(() => this.#pieces.delete(index)); // who reads it gets the error
    for (const oldest of this.#pieces.keys()) {
      if (this.#pieces.size <= MAX_PIECES) break;
      this.#pieces.delete(oldest);
    }
    return piece;
  }

  async #readPiece(index: number): Promise<Uint8Array> {
    const begin = index * PIECE_BYTES;
    const bytes = await this.#source.read(begin, Math.min(PIECE_BYTES, this.size - begin));
    if ((await hashPiece(bytes)) === this.#hashes[index]) return bytes;
    await this.#onDamage();
    throw new KvasirError(
      "checksum",
      `Cannot read "${this.name}": its stored copy was damaged and is removed, load it again`,
    );
  }
}

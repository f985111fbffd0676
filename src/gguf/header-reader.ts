// Reads a GGUF header front to back in growing pieces, so that a file of gigabytes costs the
// bytes of its header. Every length is checked against the rest of the file before memory is
// taken for it.
import { KvasirError } from "../errors.ts";
import { joinBytes, TextList } from "../text-list.ts";
import type { ByteSource } from "./byte-source.ts";

const FIRST_PIECE_BYTES = 2 ** 16;
const PIECE_GROWTH = 16;
const MAX_PIECE_BYTES = 2 ** 20; // more than the header is read once more, as weights
const MAX_HEADER_BYTES = 2 ** 28; // the largest known are about 2^24, vocabulary and merges

/** A string's length stands before it, a u64. */
const PREFIX_BYTES = 8;
const NO_PREFIX = new Uint8Array(PREFIX_BYTES);

const EMPTY = new Uint8Array(0);
// Keeps a leading U+FEFF: it is a token of some vocabularies.
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenientUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export class HeaderReader {
  private readonly source: ByteSource;
  private readonly signal: AbortSignal | undefined;
  private piece: Uint8Array = EMPTY;
  private view: DataView = new DataView(EMPTY.buffer);
  /** Byte offset of `piece` in the source. */
  private pieceByteOffset = 0;
  /** Next byte, in `piece`. */
  private at = 0;
  private nextPieceBytes = FIRST_PIECE_BYTES;

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.source = source;
    this.signal = signal;
  }

  /** Byte offset of the next byte. */
  get position(): number {
    return this.pieceByteOffset + this.at;
  }

  /** A `bad-gguf` error that names the file and the place. */
  error(byteOffset: number, what: string): KvasirError {
    return new KvasirError(
      "bad-gguf",
      `Cannot parse GGUF "${this.source.name}": ${what}, at byte ${byteOffset}`,
    );
  }

  /** The next `byteLength` bytes (few), valid until the next call. `what` is for messages. */
  async take(byteLength: number, what: string): Promise<DataView> {
    if (this.piece.length - this.at < byteLength) await this.fill(byteLength, what);
    const view = new DataView(this.piece.buffer, this.piece.byteOffset + this.at, byteLength);
    this.at += byteLength;
    return view;
  }

  async readU32(what: string): Promise<number> {
    return (await this.take(4, what)).getUint32(0, true);
  }

  async readU64(what: string): Promise<bigint> {
    return (await this.take(8, what)).getBigUint64(0, true);
  }

  /**
   * A u64 count of things that take at least `minBytes` each.
   *
   * @throws {KvasirError} `bad-gguf` when it passes `limit` or what the rest of the file can hold.
   */
  async readCount(what: string, minBytes: number, limit: number): Promise<number> {
    const byteOffset = this.position;
    const count = await this.readU64(what);
    if (count > BigInt(limit)) {
      throw this.error(
        byteOffset,
        `${what} has a count of ${count}, more than the limit of ${limit}`,
      );
    }
    const nBytesLeft = this.source.size - this.position;
    if (Number(count) * minBytes > nBytesLeft) {
      const need = Number(count) * minBytes;
      throw this.error(
        byteOffset,
        `${what} has a count of ${count}, ` +
          `which takes at least ${need} bytes of the ${nBytesLeft} left`,
      );
    }
    return Number(count);
  }

  /** A value; bytes that are no UTF-8 become U+FFFD, since files in use hold such tokens. */
  async readString(what: string, maxBytes: number): Promise<string> {
    const byteLength = await this.readCount(what, 1, maxBytes);
    return lenientUtf8.decode(await this.takeText(byteLength, what));
  }

  /** A name: bytes that are no UTF-8 are an error. */
  async readName(what: string, maxBytes: number): Promise<string> {
    const byteOffset = this.position;
    const byteLength = await this.readCount(what, 1, maxBytes);
    const bytes = await this.takeText(byteLength, what);
    try {
      return strictUtf8.decode(bytes);
    } catch {
      throw this.error(byteOffset, `${what} is not UTF-8`);
    }
  }

  /** `length` strings, as they lie; awaits only between pieces: vocabularies hold hundreds of thousands. */
  async readTexts(length: number, what: string, maxBytes: number): Promise<TextList> {
    const ends = new Uint32Array(length);
    const parts: Uint8Array[] = [];
    let nBytes = 0;
    for (let n = 0; n < length;) {
      const from = this.at;
      n = this.skipBufferedTexts(ends, n, nBytes);
      if (this.at > from) parts.push(this.piece.subarray(from, this.at));
      nBytes += this.at - from;
      if (n === length) break;
      const byteLength = await this.readCount(what, 1, maxBytes);
      parts.push(NO_PREFIX, await this.takeText(byteLength, what));
      nBytes += PREFIX_BYTES + byteLength;
      ends[n++] = nBytes;
    }
    return new TextList(joinBytes(parts), ends, PREFIX_BYTES);
  }

  /**
   * Passes the strings that lie whole in the piece, and notes where: from the n-th on, the next byte
   * being number `byteOffset` of the list's.
   *
   * @returns The number of the first string not passed.
   */
  private skipBufferedTexts(ends: Uint32Array, n: number, byteOffset: number): number {
    const { piece, view } = this;
    const shift = byteOffset - this.at;
    let at = this.at;
    while (n < ends.length && at + PREFIX_BYTES <= piece.length) {
      const byteLength = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
      const end = at + PREFIX_BYTES + byteLength;
      if (end > piece.length) break;
      ends[n++] = end + shift;
      at = end;
    }
    this.at = at;
    return n;
  }

  /** A copy of the next `byteLength` bytes, already checked against the file's end by a count. */
  async takeBytes(byteLength: number, what: string): Promise<ArrayBuffer> {
    this.checkEnd(byteLength, what);
    const bytes = new Uint8Array(byteLength);
    for (let done = 0; done < byteLength;) {
      if (this.at === this.piece.length) await this.fill(1, what);
      const part = this.piece.subarray(this.at, this.at + byteLength - done);
      bytes.set(part, done);
      done += part.length;
      this.at += part.length;
    }
    return bytes.buffer;
  }

  /** As `takeBytes`, without the copy where the piece holds them all. */
  private async takeText(byteLength: number, what: string): Promise<Uint8Array> {
    if (this.piece.length - this.at < byteLength)
      return new Uint8Array(await this.takeBytes(byteLength, what));
    this.at += byteLength;
    return this.piece.subarray(this.at - byteLength, this.at);
  }

  /** Makes the piece hold at least `byteLength` unread bytes. */
  private async fill(byteLength: number, what: string): Promise<void> {
    this.checkEnd(byteLength, what);
    const rest = this.piece.subarray(this.at);
    const begin = this.position + rest.length;
    const nNew = Math.min(
      Math.max(this.nextPieceBytes, byteLength - rest.length),
      this.source.size - begin,
    );
    const fresh = await this.source.read(begin, nNew, this.signal);
    this.pieceByteOffset += this.at;
    this.piece = rest.length === 0 ? fresh : joinBytes([rest, fresh]);
    this.view = new DataView(this.piece.buffer, this.piece.byteOffset, this.piece.length);
    this.at = 0;
    this.nextPieceBytes = Math.min(this.nextPieceBytes * PIECE_GROWTH, MAX_PIECE_BYTES);
  }

  private checkEnd(byteLength: number, what: string): void {
    const end = this.position + byteLength;
    if (end > this.source.size) {
      throw this.error(
        this.position,
        `the file ends inside ${what}: ${end - this.source.size} bytes are missing`,
      );
    }
    if (end > MAX_HEADER_BYTES) {
      throw this.error(
        this.position,
        `the header is longer than ${MAX_HEADER_BYTES} bytes, in ${what}`,
      );
    }
  }
}

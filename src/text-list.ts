/**
 * Many texts, held as UTF-8: vocabularies have hundreds of thousands, of which a run looks at few.
 *
 * Bytes that are no UTF-8 stay as they are, and become U+FFFD where a text is made of them.
 */
export class TextList implements Iterable<string> {
  readonly bytes: Uint8Array;
  /** Of each text, the offset in `bytes` past its last byte. */
  readonly ends: Uint32Array;
  readonly #gap: number;

  /** @param gap Bytes before each text that belong to none. */
  constructor(bytes: Uint8Array, ends: Uint32Array, gap = 0) {
    this.bytes = bytes;
    this.ends = ends;
    this.#gap = gap;
  }

  static of(texts: readonly string[]): TextList {
    const encoder = new TextEncoder();
    const parts = texts.map((text) => encoder.encode(text));
    let end = 0;
    const ends = Uint32Array.from(parts, ({ byteLength }) => (end += byteLength));
    return new TextList(joinBytes(parts), ends);
  }

  get length(): number {
    return this.ends.length;
  }

  /** The offset in `bytes` of a text's first byte. */
  start(index: number): number {
    return (index === 0 ? 0 : this.ends[index - 1]!) + this.#gap;
  }

  /** undefined past the end. */
  at(index: number): string | undefined {
    const end = this.ends[index];
    return end === undefined ? undefined : utf8.decode(this.bytes.subarray(this.start(index), end));
  }

  /** As an array's. */
  toString(): string {
    return [...this].join();
  }

  *[Symbol.iterator](): Iterator<string> {
    for (let i = 0; i < this.length; i++) yield this.at(i) ?? "";
  }
}

// Keeps a leading U+FEFF: it is a token of some vocabularies.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** One array that is the only part, or a fresh one. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const joined = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.byteLength;
  }
  return joined;
}

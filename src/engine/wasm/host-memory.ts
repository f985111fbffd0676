// Memory for the arrays of one call into the host's kernels: laid out anew by every call.

const PAGE = 65_536;
/** A cache line, and more than any element's alignment. */
const ALIGNMENT = 64;

/**
 * Lays arrays out side by side in an instance's memory, and grows it when they do not fit.
 *
 * Only pages that it grew itself are used: what lies below belongs to the instance.
 */
export class HostMemory {
  readonly #memory: WebAssembly.Memory;
  #start = 0;
  #byteLength = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  /**
   * Room for arrays of these lengths in bytes: the byte offset of each. The content is undefined;
   * earlier offsets and views become invalid.
   */
  layOut<const L extends readonly number[]>(byteLengths: L): { [I in keyof L]: number } {
    let end = 0;
    const offsets = byteLengths.map((byteLength) => {
      const offset = end;
      end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
      return offset;
    });
    if (end > this.#byteLength) this.#grow(end);
    return offsets.map((offset) => this.#start + offset) as { [I in keyof L]: number };
  }

  /** A view; valid until the next `layOut`. */
  f32(offset: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, offset, length);
  }

  /** A view; valid until the next `layOut`. */
  u32(offset: number, length: number): Uint32Array {
    return new Uint32Array(this.#memory.buffer, offset, length);
  }

  #grow(byteLength: number): void {
    // At least doubled, so that arrays which get longer do not grow the memory at every call.
    const nPages = Math.ceil(Math.max(byteLength, 2 * this.#byteLength) / PAGE);
    const nMissing = nPages - this.#byteLength / PAGE;
    // Nothing else grows this memory, so new pages follow the old ones.
    const firstPage = this.#memory.grow(nMissing);
    if (this.#byteLength === 0) this.#start = firstPage * PAGE;
    this.#byteLength = nPages * PAGE;
  }
}

// The slices of many tensors, read in order and a little ahead, so that the disk works while the
// engine does.
import type { TensorInfo } from "../gguf/tensor-info.ts";

/** No more is read ahead than so many bytes ... */
const AHEAD_BYTES = 8 << 20;
/** ... in so many reads: tensors may be tiny. */
const AHEAD_READS = 8;

/** Small slices share the buffers of larger ones. */
const MIN_BUFFER_BYTES = 1 << 20;

interface Slices {
  readonly info: TensorInfo;
  readonly slices: readonly number[];
}

interface Slice {
  readonly info: TensorInfo;
  readonly byteOffset: number;
  readonly byteLength: number;
}

interface Read {
  readonly bytes: Promise<Uint8Array>;
  readonly byteLength: number;
  /** What it is read into; null where the source makes the array. */
  readonly buffer: Uint8Array | null;
}

export class ReadAhead {
  readonly #slices: readonly Slice[];
  readonly #signal: AbortSignal | undefined;
  /** Under way, in order; the first is the next. */
  readonly #reads: Read[] = [];
  /** What `next` returned last. */
  #current: Read | undefined;
  /** A fresh array for each slice would keep the garbage collector busy. */
  readonly #buffers: Uint8Array[] = [];
  #nStarted = 0;

  /** @param tensors In the order in which `next` returns their slices. */
  constructor(tensors: readonly Slices[], signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.#slices = tensors.flatMap(({ info, slices }) => {
      let byteOffset = info.byteOffset;
      return slices.map((byteLength) => {
        const slice = { info, byteOffset, byteLength };
        byteOffset += byteLength;
        return slice;
      });
    });
  }

  /**
   * The next slice; to be called no more often than there are slices.
   *
   * @returns Bytes that are valid until the next call.
   */
  async next(): Promise<Uint8Array> {
    const { buffer } = this.#current ?? {};
    if (buffer) this.#buffers.push(buffer);
    this.#fill();
    this.#current = this.#reads.shift();
    if (this.#current === undefined) throw new Error("Broken invariant: a slice is left");
    this.#fill();
    return this.#current.bytes;
  }

  #fill(): void {
    let underWay = this.#reads.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (this.#reads.length < AHEAD_READS) {
      const slice = this.#slices[this.#nStarted];
      if (slice === undefined) return;
      const isFirst = this.#reads.length === 0;
      if (!isFirst && underWay + slice.byteLength > AHEAD_BYTES) return;
      this.#nStarted++;
      const read = this.#start(slice);
      read.bytes.catch(() => undefined); // `next` hands the error on; after a failure nobody asks
      this.#reads.push(read);
      underWay += slice.byteLength;
    }
  }

  #start({ info: { source }, byteOffset, byteLength }: Slice): Read {
    if (source.readInto === undefined) {
      const bytes = source.read(byteOffset, byteLength, this.#signal);
      return { bytes, byteLength, buffer: null };
    }
    const buffer = this.#take(byteLength);
    const out = buffer.subarray(0, byteLength);
    const bytes = source.readInto(byteOffset, out, this.#signal).then(() => out);
    return { bytes, byteLength, buffer };
  }

  /** A buffer that nobody uses, of at least so many bytes. */
  #take(byteLength: number): Uint8Array {
    const i = this.#buffers.findIndex((buffer) => buffer.byteLength >= byteLength);
    const [found] = i < 0 ? [] : this.#buffers.splice(i, 1);
    return found ?? new Uint8Array(Math.max(byteLength, MIN_BUFFER_BYTES));
  }
}

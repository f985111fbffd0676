// The slices of many tensors, read in order and a little ahead, so that the disk works while the
// engine does.
import type { TensorInfo } from "../gguf/tensor-info.ts";

/** No more is read ahead than so many bytes ... */
const AHEAD_BYTES = 8 << 20;
/** ... in so many reads: tensors may be tiny. */
const AHEAD_READS = 8;

interface Slices {
  readonly info: TensorInfo;
  readonly slices: readonly number[];
}

interface Slice {
  readonly info: TensorInfo;
  readonly byteOffset: number;
  readonly byteLength: number;
}

export class ReadAhead {
  readonly #slices: readonly Slice[];
  readonly #signal: AbortSignal | undefined;
  /** Under way, in order; the first is the next. */
  readonly #reads: { readonly bytes: Promise<Uint8Array>; readonly byteLength: number }[] = [];
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

  /** The next slice; to be called no more often than there are slices. */
  async next(): Promise<Uint8Array> {
    this.#fill();
    const read = this.#reads.shift();
    if (read === undefined) throw new Error("Broken invariant: a slice is left");
    this.#fill();
    return read.bytes;
  }

  #fill(): void {
    let underWay = this.#reads.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (this.#reads.length < AHEAD_READS) {
      const slice = this.#slices[this.#nStarted];
      if (slice === undefined) return;
      const isFirst = this.#reads.length === 0;
      if (!isFirst && underWay + slice.byteLength > AHEAD_BYTES) return;
      this.#nStarted++;
      const { info, byteOffset, byteLength } = slice;
      const bytes = info.source.read(byteOffset, byteLength, this.#signal);
      bytes.catch(() => undefined); // `next` hands the error on; after a failure nobody asks
      this.#reads.push({ bytes, byteLength });
      underWay += byteLength;
    }
  }
}

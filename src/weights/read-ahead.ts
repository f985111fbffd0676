// The slices of many tensors, read in order and a little ahead, so that the disk works while the
// engine does. Neighbours in the file are read at once.
import type { ByteSource } from "../gguf/byte-source.ts";
import type { TensorInfo } from "../gguf/tensor-info.ts";

/** Slices are read together up to so many bytes ... */
export const READ_BYTES = 2 << 20;
/** ... where no more lies between them: tensors are aligned. */
const MAX_GAP_BYTES = 4096;
/** No more is read ahead than so many bytes, in reads under way at the same time. */
const AHEAD_BYTES = 6 << 20;

interface Slices {
  readonly info: TensorInfo;
  readonly slices: readonly number[];
}

/** A stretch of a source, and the slices in it by where they begin and end in it. */
interface Batch {
  readonly source: ByteSource;
  readonly byteOffset: number;
  byteLength: number;
  readonly slices: { readonly begin: number; readonly end: number }[];
}

interface Read {
  readonly bytes: Promise<Uint8Array>;
  readonly batch: Batch;
  /** What it is read into; null where the source makes the array. */
  readonly buffer: Uint8Array | null;
}

export interface ReadAheadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Where buffers come from. Default: fresh arrays. */
  readonly allocate?: ((byteLength: number) => Uint8Array) | undefined;
}

export class ReadAhead {
  readonly #batches: readonly Batch[];
  readonly #signal: AbortSignal | undefined;
  readonly #allocate: (byteLength: number) => Uint8Array;
  /** Under way, in order; the first is the next. */
  readonly #reads: Read[] = [];
  /** Whose slices `next` returns. */
  #current: Read | undefined;
  #nGiven = 0;
  /** A fresh array for each read would keep the garbage collector busy. */
  readonly #buffers: Uint8Array[] = [];
  #nStarted = 0;

  /** @param tensors In the order in which `next` returns their slices. */
  constructor(tensors: readonly Slices[], options: ReadAheadOptions = {}) {
    this.#signal = options.signal;
    this.#allocate = options.allocate ?? ((byteLength) => new Uint8Array(byteLength));
    this.#batches = batchesOf(tensors);
  }

  /**
   * The next slice; to be called no more often than there are slices.
   *
   * @returns Bytes that are valid until the next call.
   */
  async next(): Promise<Uint8Array> {
    if (this.#current === undefined || this.#nGiven === this.#current.batch.slices.length) {
      if (this.#current?.buffer) this.#buffers.push(this.#current.buffer);
      this.#nGiven = 0;
      this.#fill();
      this.#current = this.#reads.shift();
      this.#fill();
    }
    const slice = this.#current?.batch.slices[this.#nGiven++];
    if (this.#current === undefined || slice === undefined) {
      throw new Error("Broken invariant: a slice is left");
    }
    return (await this.#current.bytes).subarray(slice.begin, slice.end);
  }

  #fill(): void {
    let underWay = this.#reads.reduce((sum, { batch }) => sum + batch.byteLength, 0);
    for (;;) {
      const batch = this.#batches[this.#nStarted];
      if (batch === undefined) return;
      if (this.#reads.length > 0 && underWay + batch.byteLength > AHEAD_BYTES) return;
      this.#nStarted++;
      const read = this.#start(batch);
      read.bytes.catch(() => undefined); // `next` hands the error on; after a failure nobody asks
      this.#reads.push(read);
      underWay += batch.byteLength;
    }
  }

  #start(batch: Batch): Read {
    const { source, byteOffset, byteLength } = batch;
    if (source.readInto === undefined) {
      return { bytes: source.read(byteOffset, byteLength, this.#signal), batch, buffer: null };
    }
    const buffer = this.#take(byteLength);
    const out = buffer.subarray(0, byteLength);
    const bytes = source.readInto(byteOffset, out, this.#signal).then(() => out);
    return { bytes, batch, buffer };
  }

  /** A buffer that nobody uses, of at least so many bytes. */
  #take(byteLength: number): Uint8Array {
    const i = this.#buffers.findIndex((buffer) => buffer.byteLength >= byteLength);
    const [found] = i < 0 ? [] : this.#buffers.splice(i, 1);
    return found ?? this.#allocate(Math.max(byteLength, READ_BYTES));
  }
}

function batchesOf(tensors: readonly Slices[]): Batch[] {
  const batches: Batch[] = [];
  for (const { info, slices } of tensors) {
    let { byteOffset } = info;
    for (const byteLength of slices) {
      const last = batches.at(-1);
      const begin = last === undefined ? -1 : byteOffset - last.byteOffset;
      if (last?.source === info.source && isNear(last, begin, byteLength)) {
        last.byteLength = begin + byteLength;
        last.slices.push({ begin, end: last.byteLength });
      } else {
        const own = { begin: 0, end: byteLength };
        batches.push({ source: info.source, byteOffset, byteLength, slices: [own] });
      }
      byteOffset += byteLength;
    }
  }
  return batches;
}

/** Whether a slice that begins at `begin` of the batch may be read with it. */
function isNear(batch: Batch, begin: number, byteLength: number): boolean {
  const gap = begin - batch.byteLength;
  return gap >= 0 && gap <= MAX_GAP_BYTES && begin + byteLength <= READ_BYTES;
}

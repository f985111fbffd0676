// Lists of row indices and positions on their way to the device. They take turns in one buffer: a
// list is written at once, to a place that nothing recorded or running reads.
import type { Allocation } from "../device/device.ts";
import type { OpContext } from "./op-context.ts";
import type { Bound } from "../device/recorder.ts";

const MIN_WORDS = 1 << 16;

export interface PlacedLists {
  readonly bound: Bound;
  /** Words from the start of the binding to each list. */
  readonly offsets: readonly number[];
}

export class IndexLists {
  readonly #context: OpContext;
  #allocation: Allocation | null = null;
  #nWords = 0;
  #used = 0;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** Valid for what is recorded before the next call. */
  put(lists: readonly Uint32Array[]): PlacedLists {
    const { recorder, gpu } = this.#context;
    let n = 0;
    const starts = lists.map((list) => (n += list.length) - list.length);
    const allocation = this.#room(Math.max(n, 1));
    const joined = new Uint32Array(n);
    lists.forEach((list, i) => joined.set(list, starts[i]));
    const byteOffset = 4 * this.#used;
    if (n > 0) gpu.device.queue.writeBuffer(allocation.buffer, byteOffset, joined);
    this.#used += Math.max(n, 1);
    const bound = recorder.bindRange(allocation, byteOffset, 4 * Math.max(n, 1));
    return { bound, offsets: starts.map((start) => bound.at + start) };
  }

  /** A buffer with `nWords` free words from `#used` on. */
  #room(nWords: number): Allocation {
    const { recorder, gpu } = this.#context;
    if (this.#allocation !== null && this.#used + nWords <= this.#nWords) return this.#allocation;
    // What is submitted reads its lists before later writes come.
    recorder.flush();
    this.#used = 0;
    if (this.#allocation !== null && nWords <= this.#nWords) return this.#allocation;
    if (this.#allocation !== null) recorder.retire(this.#allocation);
    this.#nWords = Math.max(MIN_WORDS, nWords);
    this.#allocation = gpu.allocate("index lists", 4 * this.#nWords);
    return this.#allocation;
  }
}

/**
 * A priority queue of bigrams: the highest score first, of equal scores the leftmost.
 *
 * Bigrams are numbered in the order of `push`, and their fields stay readable after `pop`. A binary
 * heap over flat arrays: a text of 100,000 characters takes 300,000 of them.
 */
export class BigramQueue {
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Where the right one ended when the bigram was made. */
  readonly end: Uint32Array;
  readonly #score: Float32Array;
  readonly #heap: Int32Array;
  #nBigrams = 0;
  #size = 0;

  /** @param capacity Largest number of pushes. */
  constructor(capacity: number) {
    this.left = new Int32Array(capacity);
    this.right = new Int32Array(capacity);
    this.end = new Uint32Array(capacity);
    this.#score = new Float32Array(capacity);
    this.#heap = new Int32Array(capacity);
  }

  push(left: number, right: number, end: number, score: number): void {
    const bigram = this.#nBigrams++;
    this.left[bigram] = left;
    this.right[bigram] = right;
    this.end[bigram] = end;
    this.#score[bigram] = score;

    const heap = this.#heap;
    let i = this.#size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(bigram, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = bigram;
  }

  /** @returns The number of the first bigram, -1 when none is left. */
  pop(): number {
    if (this.#size === 0) return -1;
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap[--this.#size]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }

  #isBefore(a: number, b: number): boolean {
    const difference = this.#score[a]! - this.#score[b]!;
    return difference > 0 || (difference === 0 && this.left[a]! < this.left[b]!);
  }
}

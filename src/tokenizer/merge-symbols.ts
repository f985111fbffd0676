import { BigramQueue } from "./bigram-queue.ts";

/**
 * The score of joining the stretches [begin, middle) and [middle, end) of a text, undefined where they
 * don't join.
 */
export type JoinScore = (begin: number, middle: number, end: number) => number | undefined;

/**
 * Byte-pair merging: begins with the symbols of a text, and again and again joins the neighbours with
 * the highest score, of equal scores the leftmost.
 *
 * @param bounds Where the symbols begin, ascending, and where the last one ends.
 * @param score f32 precision.
 * @returns The bounds that are left at the end. O(n log n).
 */
export function mergeSymbols(bounds: readonly number[], score: JoinScore): number[] {
  const symbols = link(bounds);
  const { begin, end, previous, next } = symbols;
  const nSymbols = begin.length;
  // One bigram per pair of neighbours, and at most two more per merge.
  const queue = new BigramQueue(3 * nSymbols);
  const propose = (left: number, right: number): void => {
    if (left === -1 || right === -1) return;
    const joined = score(begin[left]!, begin[right]!, end[right]!);
    if (joined !== undefined) queue.push(left, right, end[right]!, joined);
  };
  for (let i = 1; i < nSymbols; i++) propose(i - 1, i);

  for (let bigram = queue.pop(); bigram !== -1; bigram = queue.pop()) {
    const left = queue.left[bigram]!;
    const right = queue.right[bigram]!;
    // Outdated when the left one is joined to others since, or the right one has grown.
    if (next[left] !== right || end[right] !== queue.end[bigram]) continue;
    const after = next[right]!;
    end[left] = end[right]!;
    next[left] = after;
    next[right] = MERGED;
    if (after !== -1) previous[after] = left;
    propose(previous[left]!, left);
    propose(left, after);
  }

  const left: number[] = bounds.slice(0, 1);
  for (let i = nSymbols > 0 ? 0 : -1; i !== -1; i = next[i]!) left.push(end[i]!);
  return left;
}

const MERGED = -2;

/** A doubly linked list over stretches of a text. */
interface Symbols {
  readonly begin: Uint32Array;
  readonly end: Uint32Array;
  readonly previous: Int32Array; // -1 at the beginning
  readonly next: Int32Array; // -1 at the end, MERGED once part of the left neighbour
}

function link(bounds: readonly number[]): Symbols {
  const nSymbols = Math.max(0, bounds.length - 1);
  const symbols = {
    begin: Uint32Array.from(bounds.slice(0, nSymbols)),
    end: Uint32Array.from(bounds.slice(1)),
    previous: new Int32Array(nSymbols),
    next: new Int32Array(nSymbols),
  };
  for (let i = 0; i < nSymbols; i++) {
    symbols.previous[i] = i - 1;
    symbols.next[i] = i + 1 < nSymbols ? i + 1 : -1;
  }
  return symbols;
}

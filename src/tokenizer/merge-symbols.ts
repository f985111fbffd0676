import { BigramQueue } from "./bigram-queue.ts";

/**
 * The score of joining text[begin, middle) and text[middle, end), undefined where they don't join.
 * Offsets in UTF-16 code units.
 */
export type JoinScore = (begin: number, middle: number, end: number) => number | undefined;

/**
 * Byte-pair merging: begins with the characters, and again and again joins the neighbours with the
 * highest score, of equal scores the leftmost.
 *
 * @param score f32 precision.
 * @returns What is left at the end, in order. O(n log n).
 */
export function mergeSymbols(text: string, score: JoinScore): string[] {
  const symbols = splitCharacters(text);
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

  const pieces: string[] = [];
  for (let i = nSymbols > 0 ? 0 : -1; i !== -1; i = next[i]!) {
    pieces.push(text.slice(begin[i], end[i]));
  }
  return pieces;
}

const MERGED = -2;

/** A doubly linked list over stretches of a text. */
interface Symbols {
  readonly begin: Uint32Array;
  readonly end: Uint32Array;
  readonly previous: Int32Array; // -1 at the beginning
  readonly next: Int32Array; // -1 at the end, MERGED once part of the left neighbour
}

function splitCharacters(text: string): Symbols {
  const starts: number[] = [];
  for (let i = 0; i < text.length; i += text.codePointAt(i)! > 0xffff ? 2 : 1) starts.push(i);
  const nSymbols = starts.length;
  const symbols = {
    begin: Uint32Array.from(starts),
    end: new Uint32Array(nSymbols),
    previous: new Int32Array(nSymbols),
    next: new Int32Array(nSymbols),
  };
  for (let i = 0; i < nSymbols; i++) {
    symbols.end[i] = starts[i + 1] ?? text.length;
    symbols.previous[i] = i - 1;
    symbols.next[i] = i + 1 < nSymbols ? i + 1 : -1;
  }
  return symbols;
}

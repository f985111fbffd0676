import type { TextEncoding } from "./bpe.ts";
import { BigramQueue } from "./bigram-queue.ts";
import { TokenType, type Vocabulary } from "./vocabulary.ts";

/** The sign that sentencepiece writes for a space. */
export const SPACE_SIGN = "▁";

/**
 * Sentencepiece's BPE: again and again, the neighbours that together make the token with the
 * highest score become one; of equal scores the leftmost. What is no token then becomes bytes.
 *
 * @see llama.cpp, src/llama-vocab.cpp at 00ad355e, `llm_tokenizer_spm_session`.
 */
export function createSpm(vocabulary: Vocabulary): TextEncoding {
  const { tokens, tokenOf, scores } = vocabulary;
  const longest = tokens.reduce((length, token) => Math.max(length, token.length), 0);
  const byteTokens = findByteTokens(vocabulary);
  const encoder = new TextEncoder();

  return (plainText, out) => {
    const text = plainText.replaceAll(" ", SPACE_SIGN);
    const symbols = splitCharacters(text);
    const { start, length, next } = symbols;
    mergeSymbols(symbols, (left, mergedLength) => {
      if (mergedLength > longest) return undefined;
      const token = tokenOf.get(text.slice(start[left]!, start[left]! + mergedLength));
      return token === undefined ? undefined : scores[token]!;
    });

    for (let i = start.length > 0 ? 0 : -1; i !== -1; i = next[i]!) {
      const symbol = text.slice(start[i]!, start[i]! + length[i]!);
      const token = tokenOf.get(symbol);
      if (token !== undefined) {
        out.push(token);
        continue;
      }
      for (const byte of encoder.encode(symbol)) {
        const byteToken = byteTokens[byte] ?? vocabulary.unknownToken;
        if (byteToken !== undefined) out.push(byteToken);
      }
    }
  };
}

/** A doubly linked list over stretches of the text; offsets and lengths in UTF-16 code units. */
interface Symbols {
  readonly start: Uint32Array;
  /** 0 once merged into the left neighbour. */
  readonly length: Uint32Array;
  readonly previous: Int32Array; // -1 at the beginning
  readonly next: Int32Array; // -1 at the end
}

function splitCharacters(text: string): Symbols {
  const start = new Uint32Array(text.length);
  let nSymbols = 0;
  for (let i = 0; i < text.length; i += text.codePointAt(i)! > 0xffff ? 2 : 1) {
    start[nSymbols++] = i;
  }
  const symbols = {
    start: start.subarray(0, nSymbols),
    length: new Uint32Array(nSymbols),
    previous: new Int32Array(nSymbols),
    next: new Int32Array(nSymbols),
  };
  for (let i = 0; i < nSymbols; i++) {
    symbols.length[i] = (i + 1 < nSymbols ? start[i + 1]! : text.length) - start[i]!;
    symbols.previous[i] = i - 1;
    symbols.next[i] = i + 1 < nSymbols ? i + 1 : -1;
  }
  return symbols;
}

/** @param scoreOf The score of the merged text, undefined where it is no token. */
function mergeSymbols(
  { start, length, previous, next }: Symbols,
  scoreOf: (left: number, mergedLength: number) => number | undefined,
): void {
  // One bigram per pair of neighbours, and at most two more per merge.
  const queue = new BigramQueue(3 * start.length);
  const propose = (left: number, right: number): void => {
    if (left === -1 || right === -1) return;
    const mergedLength = length[left]! + length[right]!;
    const score = scoreOf(left, mergedLength);
    if (score !== undefined) queue.push(left, right, mergedLength, score);
  };
  for (let i = 1; i < start.length; i++) propose(i - 1, i);

  for (let bigram = queue.pop(); bigram !== -1; bigram = queue.pop()) {
    const left = queue.left[bigram]!;
    const right = queue.right[bigram]!;
    const isOutdated =
      length[left] === 0 ||
      length[right] === 0 ||
      length[left]! + length[right]! !== queue.mergedLength[bigram];
    if (isOutdated) continue;
    length[left]! += length[right]!;
    length[right] = 0;
    const after = next[right]!;
    next[left] = after;
    if (after !== -1) previous[after] = left;
    propose(previous[left]!, left);
    propose(left, after);
  }
}

/** The tokens `<0x00>` to `<0xFF>`, by byte. */
function findByteTokens({ tokenOf, types }: Vocabulary): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => {
    const token = tokenOf.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    return token !== undefined && types[token] === TokenType.byte ? token : undefined;
  });
}

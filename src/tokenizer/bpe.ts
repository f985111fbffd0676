import { assert } from "../errors.ts";
import { byteAlphabet } from "./byte-alphabet.ts";
import { mergeSymbols } from "./merge-symbols.ts";
import { TextTable } from "./text-table.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Turns a text without special tokens into token ids, appended to `out`. */
export type TextEncoding = (text: string, out: number[]) => void;

/** Words whose tokens are remembered: a text's words come again and again. */
const MAX_WORDS = 10_000;
const MAX_REMEMBERED_LENGTH = 64;

/**
 * Byte-level BPE over the merges of the file.
 *
 * Special tokens are not given to it: they are cut out before (special-tokens.ts). Bytes that the
 * vocabulary lacks are left out, as in llama.cpp. Its tables are made here: to be called late.
 */
export function createBpe(vocabulary: Vocabulary): TextEncoding {
  const { preTokenizer } = vocabulary;
  assert(preTokenizer, "bpe needs a pre-tokenizer");
  const patterns = preTokenizer.patterns.map((pattern) => new RegExp(pattern, "gu"));
  const words = new WordEncoding(vocabulary, preTokenizer.ignoresMerges);
  return (text, out) => {
    let pieces = [text];
    for (const pattern of patterns) pieces = pieces.flatMap((piece) => isolate(piece, pattern));
    for (const piece of pieces) for (const token of words.encode(piece)) out.push(token);
  };
}

/** Cuts a text before and after each match; what lies between is a piece too. */
function isolate(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let at = 0;
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (index > at) pieces.push(text.slice(at, index));
    if (match !== "") pieces.push(match);
    at = index + match.length;
  }
  if (at < text.length) pieces.push(text.slice(at));
  return pieces;
}

class WordEncoding {
  readonly #tokens: TextTable;
  /** By "left right", as the file has them: a merge's rank is its index. */
  readonly #merges: TextTable;
  readonly #takesWhole: boolean;
  readonly #remembered = new Map<string, readonly number[]>();
  readonly #encoder = new TextEncoder();
  /** The UTF-8 of each byte's character. */
  readonly #alphabet = byteAlphabet().map((character) => this.#encoder.encode(character));
  #pair = new Uint8Array(64);

  constructor({ tokens, merges }: Vocabulary, takesWhole: boolean) {
    this.#tokens = new TextTable(tokens);
    this.#merges = new TextTable(merges);
    this.#takesWhole = takesWhole;
  }

  encode(word: string): readonly number[] {
    const known = this.#remembered.get(word);
    if (known !== undefined) return known;
    const tokens = this.#encode(word);
    if (word.length <= MAX_REMEMBERED_LENGTH) {
      if (this.#remembered.size >= MAX_WORDS) this.#remembered.clear();
      this.#remembered.set(word, tokens);
    }
    return tokens;
  }

  #encode(word: string): number[] {
    const plain = this.#encoder.encode(word);
    const bytes = new Uint8Array(2 * plain.length); // the alphabet ends before U+0800
    const bounds = [0];
    let length = 0;
    for (const byte of plain) {
      for (const part of this.#alphabet[byte]!) bytes[length++] = part;
      bounds.push(length);
    }
    if (this.#takesWhole) {
      const whole = this.#tokens.find(bytes, 0, length);
      if (whole !== -1) return [whole];
    }
    const merged = mergeSymbols(bounds, (begin, middle, end) => {
      const rank = this.#rank(bytes, begin, middle, end);
      return rank === -1 ? undefined : -rank;
    });
    const tokens: number[] = [];
    for (let i = 1; i < merged.length; i++) {
      const token = this.#tokens.find(bytes, merged[i - 1]!, merged[i]!);
      if (token !== -1) tokens.push(token);
    }
    return tokens;
  }

  #rank(bytes: Uint8Array, begin: number, middle: number, end: number): number {
    const length = end - begin + 1;
    if (this.#pair.length < length) this.#pair = new Uint8Array(2 * length);
    const pair = this.#pair;
    let at = 0;
    for (let i = begin; i < middle; i++) pair[at++] = bytes[i]!;
    pair[at++] = 0x20;
    for (let i = middle; i < end; i++) pair[at++] = bytes[i]!;
    return this.#merges.find(pair, 0, length);
  }
}

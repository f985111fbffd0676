import { TokenType, type Vocabulary } from "./vocabulary.ts";

/** A stretch of plain text, or a special token that stood in the text. */
export type Fragment = string | number;

interface SpecialToken {
  readonly token: number;
  readonly text: string;
}

/** Cuts texts at the special tokens that are written in them. */
export interface SpecialTokens {
  /** @param parseSpecial Whether control tokens count; user-defined ones always do. */
  split(text: string, parseSpecial: boolean): Fragment[];
}

/**
 * The order is llama.cpp's (`tokenizer_st_partition`): the longest token takes all its places
 * first, then the next; not the leftmost match.
 */
export function createSpecialTokens(vocabulary: Vocabulary): SpecialTokens {
  const always = new TextIndex(specialTokens(vocabulary, [TokenType.userDefined]));
  const all = new TextIndex(
    specialTokens(vocabulary, [TokenType.userDefined, TokenType.control, TokenType.unknown]),
  );
  return {
    split(text, parseSpecial) {
      if (text === "") return [];
      let fragments: Fragment[] = [text];
      for (const special of (parseSpecial ? all : always).occurringIn(text)) {
        fragments = fragments.flatMap((fragment) =>
          typeof fragment === "string" ? splitAt(fragment, special) : fragment,
        );
      }
      return fragments;
    },
  };
}

function specialTokens(vocabulary: Vocabulary, types: readonly number[]): SpecialToken[] {
  const found: SpecialToken[] = [];
  vocabulary.types.forEach((type, token) => {
    if (!types.includes(type)) return;
    const text = vocabulary.tokens.at(token) ?? "";
    if (text !== "") found.push({ token, text });
  });
  return found;
}

function splitAt(fragment: string, special: SpecialToken): Fragment[] {
  const pieces = fragment.split(special.text);
  const fragments: Fragment[] = [];
  pieces.forEach((piece, i) => {
    if (i > 0) fragments.push(special.token);
    if (piece !== "") fragments.push(piece);
  });
  return fragments;
}

/**
 * Finds which of thousands of texts occur in another one, in a single pass over it: searching for
 * each of Gemma's 6,400 special tokens in turn would cost more than the tokenization.
 */
class TextIndex {
  readonly #byText = new Map<string, SpecialToken & { readonly rank: number }>();
  /** First code unit -> lengths of the texts that begin with it. */
  readonly #lengths = new Map<number, Set<number>>();

  constructor(specials: readonly SpecialToken[]) {
    const encoder = new TextEncoder();
    const longestFirst = specials
      .map((special) => ({ special, byteLength: encoder.encode(special.text).length }))
      .sort((a, b) => b.byteLength - a.byteLength || a.special.token - b.special.token);
    longestFirst.forEach(({ special }, rank) => {
      if (this.#byText.has(special.text)) return;
      this.#byText.set(special.text, { ...special, rank });
      const first = special.text.charCodeAt(0);
      const lengths = this.#lengths.get(first) ?? new Set();
      this.#lengths.set(first, lengths.add(special.text.length));
    });
  }

  /** Longest first, in UTF-8 bytes. */
  occurringIn(text: string): SpecialToken[] {
    const found = new Set<SpecialToken & { readonly rank: number }>();
    if (this.#byText.size === 0) return [];
    for (let i = 0; i < text.length; i++) {
      const lengths = this.#lengths.get(text.charCodeAt(i));
      if (lengths === undefined) continue;
      for (const length of lengths) {
        const special = this.#byText.get(text.slice(i, i + length));
        if (special !== undefined) found.add(special);
      }
    }
    return [...found].sort((a, b) => a.rank - b.rank);
  }
}

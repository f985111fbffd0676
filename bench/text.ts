// Prompts: words that are one token each, the same as the other runtimes are measured with, or the
// beginning of a real text.
import type { Tokenizer } from "../src/tokenizer/tokenizer.ts";

const words = (
  "time people water house world night work family school book friend story hand part place week " +
  "case point company number group problem fact city state country power money line end member " +
  "law car name team minute idea body information back parent face level office door health " +
  "person art war history party result change morning reason research girl guy moment air " +
  "teacher force education"
).split(" ");

/** `length` words, each with the space before it; the same seed gives the same text anywhere. */
export function wordText(length: number, seed: number): string {
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  let text = "";
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    text += ` ${words[Math.floor((state / 2 ** 32) * words.length)]}`;
  }
  return text;
}

/** @throws When some word is not one token for this model. */
export function wordTokens(tokenizer: Tokenizer, length: number, seed: number): Uint32Array {
  const tokens = tokenizer.encode(wordText(length, seed));
  if (tokens.length === length) return tokens;
  throw new Error(`Cannot make a prompt of ${length} tokens: its words are ${tokens.length}`);
}

/** The first `length` tokens of a text. @throws When it is shorter. */
export function textTokens(tokenizer: Tokenizer, text: string, length: number): Uint32Array {
  const tokens = tokenizer.encode(text);
  if (tokens.length >= length) return tokens.slice(0, length);
  throw new Error(`Cannot take ${length} tokens: the text has only ${tokens.length}`);
}

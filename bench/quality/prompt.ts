// A prompt in tokens and segments: heads, shots and questions are tokenised apart, as in the study, so
// that a shot is an exact range.
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import type { SegmentMark } from "../../src/types.ts";
import type { Item } from "./families.ts";

/** The study forces the observation window of the other methods in the shot methods, too. */
const N_FORCED = 16;

export interface Prompt {
  readonly tokens: Uint32Array;
  /** Head, shots and question; absolute positions. */
  readonly segments: readonly SegmentMark[];
}

export function makePrompt(item: Item, tokenizer: Tokenizer): Prompt {
  const encode = (text: string): number[] => (text === "" ? [] : [...tokenizer.encode(text)]);
  const tokens: number[] = [];
  const segments: SegmentMark[] = [];
  const add = (kind: SegmentMark["kind"], ...texts: readonly string[]): void => {
    const begin = tokens.length;
    for (const text of texts) tokens.push(...encode(text));
    if (tokens.length > begin) segments.push({ kind, begin, end: tokens.length });
  };
  add("system", item.head);
  for (const shot of item.shots) add("shot", ...shot);
  add("question", item.question);
  return { tokens: Uint32Array.from(tokens), segments: forceEnd(segments, tokens.length) };
}

/**
 * Marks what a short question leaves of the last `N_FORCED` tokens as "system": shots there are no
 * longer chosen from, and the tokens stay. They score nothing, since they are not the question.
 */
function forceEnd(segments: readonly SegmentMark[], nTokens: number): SegmentMark[] {
  const from = nTokens - N_FORCED;
  return segments.flatMap((segment): SegmentMark[] => {
    if (!("begin" in segment) || segment.kind !== "shot" || segment.end <= from) return [segment];
    const begin = Math.max(segment.begin, from);
    const forced: SegmentMark = { kind: "system", begin, end: segment.end };
    return begin === segment.begin ? [forced] : [{ ...segment, end: begin }, forced];
  });
}

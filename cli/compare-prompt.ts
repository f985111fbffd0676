// The prompt that methods are compared on: its tokens, the text of each, and which part is what.
import { type Segment, type Splitter, splitSegment } from "../src/compression/segments.ts";
import { Conversation } from "../src/session/conversation.ts";
import type { Model } from "../src/types.ts";

export interface ComparePrompt {
  readonly tokens: Uint32Array;
  /** The text that each token completes; "" within a character of several tokens. */
  readonly pieces: readonly string[];
  /** Shots and the question, ascending; the gaps are the template's. */
  readonly segments: readonly Segment[];
}

/**
 * `text` and then `question` as one user message, or as plain text for a model without a template.
 *
 * @param splitter Cuts `text` into shots.
 */
export function comparePrompt(
  model: Pick<Model, "tokenizer" | "chatTemplate">,
  text: string,
  question: string,
  splitter: Splitter,
): ComparePrompt {
  const { tokenizer, chatTemplate } = model;
  const [given, asked] = [text.trim(), question.trim()];
  const content = given === "" ? asked : `${given}\n\n${asked}`;
  const conversation = new Conversation(tokenizer, chatTemplate);
  const input = chatTemplate === null ? content : [{ role: "user" as const, content }];
  const tokens = conversation.tokensOf(input, true);
  const decoder = tokenizer.decodeStream();
  const pieces = Array.from(tokens, (token) => decoder.push(token));
  pieces.push((pieces.pop() ?? "") + decoder.end());
  const at = pieces.join("").lastIndexOf(content);
  // Where the tokenizer changes the text, nothing is certain and nothing is marked.
  if (at < 0) return { tokens, pieces, segments: [] };
  const end = at + content.length;
  const starts = startsOf(pieces);
  const asking = rangeOf(starts, end - asked.length, end);
  const shots =
    given === "" ? [] : cut(pieces, rangeOf(starts, at, at + given.length), asking.begin, splitter);
  return { tokens, pieces, segments: [...shots, { kind: "question", ...asking }] };
}

function cut(
  pieces: readonly string[],
  { begin, end }: { readonly begin: number; readonly end: number },
  limit: number,
  splitter: Splitter,
): Segment[] {
  const segment: Segment = { kind: "text", begin, end: Math.min(end, limit) };
  if (segment.end <= segment.begin) return [];
  return splitSegment(segment, pieces.slice(segment.begin, segment.end), splitter);
}

/** Characters before each token. */
function startsOf(pieces: readonly string[]): number[] {
  let start = 0;
  return pieces.map((piece) => (start += piece.length) - piece.length);
}

/** The tokens that hold any of the characters [begin, end). */
function rangeOf(
  starts: readonly number[],
  begin: number,
  end: number,
): { begin: number; end: number } {
  const first = starts.findLastIndex((start) => start <= begin);
  const past = starts.findIndex((start) => start >= end);
  return { begin: Math.max(0, first), end: past < 0 ? starts.length : past };
}

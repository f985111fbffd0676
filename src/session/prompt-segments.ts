// Which tokens of a prompt are its system prompt, its shots and its question: from a caller's marks, or
// from chat messages and a splitter. Positions are tokens of the prompt, from 0.
import { type Segment, type SegmentKind, splitSegment } from "../compression/segments.ts";
import type { Content, Conversation } from "./conversation.ts";
import { KvasirError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { GenerateInput, SegmentMark, SegmentOptions } from "../types.ts";

/** Characters [begin, end) of the prompt as its tokens spell it. */
interface Range {
  readonly kind: SegmentKind;
  readonly begin: number;
  readonly end: number;
  readonly isForced?: boolean;
}

/** A prompt's tokens with the text that each of them completes. */
class SpelledPrompt {
  readonly pieces: readonly string[];
  readonly text: string;
  /** Characters before each token, and of all. */
  readonly #starts: readonly number[];

  constructor(tokens: Uint32Array, tokenizer: Tokenizer) {
    const decoder = tokenizer.decodeStream();
    const pieces = Array.from(tokens, (token) => decoder.push(token));
    pieces.push((pieces.pop() ?? "") + decoder.end());
    this.pieces = pieces;
    this.text = pieces.join("");
    let start = 0;
    this.#starts = [0, ...pieces.map((piece) => (start += piece.length))];
  }

  /** The tokens that hold any of these characters. */
  toTokens({ begin, end, ...rest }: Range): Segment {
    const starts = this.#starts;
    const first = starts.findIndex((_, i) => (starts[i + 1] ?? Infinity) > begin);
    const past = starts.findIndex((start) => start >= end);
    return { ...rest, begin: first, end: Math.max(first, past) };
  }
}

/**
 * Segments of `tokens`, ascending and apart; what lies between is text.
 *
 * @param marks Explicit ones; then nothing is found by itself.
 * @param isOpen The question is asked later: what would be one is text, or the last shot.
 * @throws {KvasirError} `bad-option` for a text mark that the prompt does not hold.
 */
export function promptSegments(
  input: GenerateInput,
  tokens: Uint32Array,
  tokenizer: Tokenizer,
  conversation: Conversation,
  { segments: marks, splitter, protect = [] }: SegmentOptions,
  isOpen = false,
): Segment[] {
  const isChat = typeof input !== "string" && !("tokens" in input);
  if (marks === undefined && splitter === undefined && !isChat) return [];
  const prompt = new SpelledPrompt(tokens, tokenizer);
  const found =
    marks === undefined
      ? automatic(prompt, isChat ? conversation.contents(input, isOpen) : null, splitter)
      : explicit(prompt, marks);
  const isAsked = marks !== undefined || !isOpen;
  const lastKind = splitter === undefined || splitter === "chat-turn" ? "text" : "shot";
  const named = isAsked
    ? found
    : found.map((one) => (one.kind === "question" ? ({ ...one, kind: lastKind } as const) : one));
  return cutOverlaps(named).map((segment) =>
    protect.includes(segment.kind) ? { ...segment, isForced: true } : segment,
  );
}

function explicit(prompt: SpelledPrompt, marks: readonly SegmentMark[]): Segment[] {
  let from = 0;
  return marks.map((mark) => {
    if (!("text" in mark)) return mark;
    const { text, ...rest } = mark;
    const begin = prompt.text.indexOf(text, from);
    if (text === "" || begin < 0) {
      throw new KvasirError(
        "bad-option",
        `Cannot segment the prompt: each text of segments must be part of it, in order, ` +
          `got ${JSON.stringify(text)}`,
      );
    }
    from = begin + text.length;
    return prompt.toTokens({ ...rest, begin, end: from });
  });
}

function automatic(
  prompt: SpelledPrompt,
  chat: { readonly text: string; readonly contents: readonly Content[] } | null,
  splitter: SegmentOptions["splitter"],
): Segment[] {
  if (chat === null) {
    const all: Segment = { kind: "question", begin: 0, end: prompt.pieces.length };
    return splitter === undefined || splitter === "chat-turn" ? [] : split(prompt, all, splitter);
  }
  const offset = prompt.text.indexOf(chat.text);
  if (offset < 0) return []; // the template or the tokenizer changed the text: nothing is certain
  const ranges = chatRanges(chat.contents, splitter === "chat-turn");
  return ranges.flatMap((range) => {
    const [begin, end] = [range.begin + offset, range.end + offset];
    const segment = prompt.toTokens({ kind: range.kind, begin, end });
    const isSplit = range.kind === "question" && splitter !== undefined;
    return isSplit && splitter !== "chat-turn" ? split(prompt, segment, splitter) : [segment];
  });
}

/** Contents by their part: the last user's is the question, a turn before it may be a shot. */
function chatRanges(contents: readonly Content[], hasShots: boolean): Range[] {
  const last = contents.findLastIndex(({ role }) => role === "user");
  const ranges: Range[] = [];
  for (const [i, { role, begin, end }] of contents.entries()) {
    if (begin === end) continue;
    if (role === "system") ranges.push({ kind: "system", begin, end });
    else if (i === last) ranges.push({ kind: "question", begin, end });
    else if (hasShots && role === "user") {
      const next = contents.findIndex((other, j) => j > i && other.role === "user");
      ranges.push({ kind: "shot", begin, end: contents[next]?.begin ?? end });
    }
  }
  return ranges;
}

/** Shots, and the last piece as the question; what comes before a first "Q:" is text. */
function split(
  prompt: SpelledPrompt,
  segment: Segment,
  splitter: Exclude<SegmentOptions["splitter"], "chat-turn" | undefined>,
): Segment[] {
  const pieces = prompt.pieces.slice(segment.begin, segment.end);
  const parts = splitSegment(segment, pieces, splitter);
  return parts.map((part, i) => {
    if (i === parts.length - 1) return { ...part, kind: "question" };
    const text = prompt.pieces.slice(part.begin, part.end).join("");
    return splitter === "Q:" && !text.trimStart().startsWith("Q:")
      ? { ...part, kind: "text" }
      : part;
  });
}

/** A token on a border belongs to the segment before it. */
function cutOverlaps(segments: readonly Segment[]): Segment[] {
  const apart: Segment[] = [];
  for (const segment of segments) {
    const before = apart.at(-1);
    const touches = before !== undefined && before.end === segment.begin + 1;
    const begin = touches ? before.end : segment.begin;
    if (begin < segment.end) apart.push({ ...segment, begin });
  }
  return apart;
}

// Segments of a prompt: what ShotKV chooses between, and what a caller may force to stay.
import { KvasirError } from "../errors.ts";

export type SegmentKind = "system" | "shot" | "question" | "generated" | "text";

/** Tokens [begin, end), absolute positions. */
export interface Segment {
  readonly kind: SegmentKind;
  readonly begin: number;
  readonly end: number;
  /** Its rows stay whatever they score. Default false. */
  readonly isForced?: boolean;
}

/** Where a text is cut: after a separator, or before a line that begins with "Q:". */
export type Splitter = "blank-line" | "line" | "sentence" | "Q:";

/**
 * The marks in order, with "text" in the gaps, over tokens [begin, end) in all.
 * @throws {KvasirError} `bad-option` for marks that are empty, overlap or lie outside.
 */
export function fillSegments(marks: readonly Segment[], begin: number, end: number): Segment[] {
  const sorted = [...marks].sort((a, b) => a.begin - b.begin);
  const segments: Segment[] = [];
  let next = begin;
  for (const mark of sorted) {
    const isWhole = Number.isSafeInteger(mark.begin) && Number.isSafeInteger(mark.end);
    if (!isWhole || mark.begin < next || mark.end <= mark.begin || mark.end > end) {
      throw new KvasirError(
        "bad-option",
        `Cannot segment the prompt: marks must be non-empty, apart and within ${next} to ${end}, ` +
          `got "${mark.kind}" ${mark.begin} to ${mark.end}`,
      );
    }
    if (mark.begin > next) segments.push({ kind: "text", begin: next, end: mark.begin });
    segments.push(mark);
    next = mark.end;
  }
  if (next < end) segments.push({ kind: "text", begin: next, end });
  return segments;
}

/**
 * Segments of earlier turns over tokens [0, end): the gaps are what was generated.
 * @param isAnswered A new turn begins: a question before it is text like any other.
 */
export function pastSegments(
  segments: readonly Segment[],
  end: number,
  isAnswered: boolean,
): Segment[] {
  const past: Segment[] = [];
  let next = 0;
  for (const segment of segments) {
    if (segment.begin > next) past.push({ kind: "generated", begin: next, end: segment.begin });
    const { kind, begin } = segment;
    const isOver = isAnswered && kind === "question";
    past.push(isOver ? { kind: "text", begin, end: segment.end } : segment);
    next = segment.end;
  }
  if (next < end) past.push({ kind: "generated", begin: next, end });
  return past;
}

/**
 * Cuts one segment into pieces after each separator; the separator belongs to the piece before it.
 *
 * @param pieces Text of each token of the segment, in order.
 * @param options.maxTokens A longer piece is cut, so that none eats the budget. Default: no limit.
 */
export function splitSegment(
  segment: Segment,
  pieces: readonly string[],
  splitter: Splitter,
  options: { readonly kind?: SegmentKind; readonly maxTokens?: number } = {},
): Segment[] {
  const { kind = "shot", maxTokens = Infinity } = options;
  const parts: Segment[] = [];
  let begin = segment.begin;
  let text = "";
  for (const [i, piece] of pieces.entries()) {
    const end = segment.begin + i + 1;
    text += piece;
    const isLast = end === segment.end;
    const ahead = pieces.slice(i + 1, i + 4).join("");
    const isCut = endsPiece(text, pieces[i + 1] ?? "", ahead, splitter) || end - begin >= maxTokens;
    if (!isLast && !isCut) continue;
    parts.push({ ...segment, kind, begin, end });
    begin = end;
    text = "";
  }
  return parts;
}

/** Ascending indices of the rows whose position lies in a forced segment. */
export function forcedRows(segments: readonly Segment[], positions: Uint32Array): number[] {
  const forced = segments.filter((segment) => segment.isForced === true);
  const rows: number[] = [];
  if (forced.length === 0) return rows;
  for (const [row, position] of positions.entries()) {
    if (forced.some(({ begin, end }) => position >= begin && position < end)) rows.push(row);
  }
  return rows;
}

/** Tokens that stay whatever they score; the newest is one of them. */
export function forcedCount(segments: readonly Segment[]): number {
  const forced = segments.filter((segment) => segment.isForced === true);
  const nForced = forced.reduce((sum, { begin, end }) => sum + end - begin, 0);
  return segments.at(-1)?.isForced === true ? nForced : nForced + 1;
}

/** Tokens of the last segment if it is the question, else 0. */
export function questionLength(segments: readonly Segment[]): number {
  const last = segments.at(-1);
  return last?.kind === "question" ? last.end - last.begin : 0;
}

/** Whether `text` ends with a separator that `next` does not prolong; `ahead` begins with `next`. */
function endsPiece(text: string, next: string, ahead: string, splitter: Splitter): boolean {
  switch (splitter) {
    case "Q:":
      return /\n\s*$/.test(text) && /^Q:/.test(ahead);
    case "blank-line":
      return /\n[ \t]*\n\s*$/.test(text) && !/^\s*\n/.test(next);
    case "line":
      return /\n\s*$/.test(text) && !/^\s*\n/.test(next);
    case "sentence":
      return (
        /[.!?]["')\]]*\s*$/.test(text) && (next === "" || /^\s|\n$/.test(next) || /\s$/.test(text))
      );
  }
}

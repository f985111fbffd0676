import { describe, expect, it } from "vitest";
import {
  fillSegments,
  forcedCount,
  forcedRows,
  questionLength,
  splitSegment,
} from "../../../src/compression/segments.ts";

describe("fillSegments", () => {
  it("orders marks and fills the gaps with text", () => {
    const marks = [
      { kind: "question", begin: 8, end: 10 },
      { kind: "shot", begin: 2, end: 5 },
    ] as const;
    expect(fillSegments(marks, 0, 11)).toEqual([
      { kind: "text", begin: 0, end: 2 },
      { kind: "shot", begin: 2, end: 5 },
      { kind: "text", begin: 5, end: 8 },
      { kind: "question", begin: 8, end: 10 },
      { kind: "text", begin: 10, end: 11 },
    ]);
  });

  it.each([
    [[{ kind: "shot", begin: 0, end: 0 }]],
    [[{ kind: "shot", begin: 3, end: 12 }]],
    [
      [
        { kind: "shot", begin: 0, end: 4 },
        { kind: "shot", begin: 3, end: 5 },
      ],
    ],
    [[{ kind: "shot", begin: 0.5, end: 2 }]],
  ] as const)("refuses %o", (marks) => {
    expect(() => fillSegments(marks, 0, 11)).toThrow(
      expect.objectContaining({ code: "bad-option" }),
    );
  });
});

describe("splitSegment", () => {
  const split = (pieces: string[], by: "blank-line" | "line" | "sentence", maxTokens?: number) =>
    splitSegment(
      { kind: "text", begin: 10, end: 10 + pieces.length },
      pieces,
      by,
      maxTokens === undefined ? {} : { maxTokens },
    ).map(({ kind, begin, end }) => `${kind} ${begin}-${end}`);

  it("leaves a blank line with the shot before it, however the tokens cut it", () => {
    expect(split(["Q", "\n\n", "Q", "\n", "A", "\n", "\n", "Q"], "blank-line")).toEqual([
      "shot 10-12",
      "shot 12-17",
      "shot 17-18",
    ]);
  });

  it("cuts at lines and at sentence ends", () => {
    expect(split(["a", "\n", "b", "\n\n", "c"], "line")).toEqual([
      "shot 10-12",
      "shot 12-14",
      "shot 14-15",
    ]);
    expect(split(["It", " is", ".", " So", " 1", ".", "5", "?"], "sentence")).toEqual([
      "shot 10-13",
      "shot 13-18",
    ]);
  });

  it("caps a piece, and the pieces always cover the segment", () => {
    expect(split(["a", "b", "c", "d", "e"], "line", 2)).toEqual([
      "shot 10-12",
      "shot 12-14",
      "shot 14-15",
    ]);
  });
});

describe("forced segments", () => {
  const segments = fillSegments(
    [
      { kind: "system", begin: 0, end: 3, isForced: true },
      { kind: "question", begin: 8, end: 10 },
    ],
    0,
    10,
  );
  it("are found by position, not by row", () => {
    expect(forcedRows(segments, Uint32Array.of(1, 2, 5, 9))).toEqual([0, 1]);
  });
  it("count with the newest token, and the question is the last segment", () => {
    expect(forcedCount(segments)).toBe(4);
    expect(questionLength(segments)).toBe(2);
  });
});

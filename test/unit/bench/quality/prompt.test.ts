import { describe, expect, it } from "vitest";
import type { Item } from "../../../../bench/quality/families.ts";
import { makePrompt } from "../../../../bench/quality/prompt.ts";
import type { Tokenizer } from "../../../../src/tokenizer/tokenizer.ts";

/** A token for each character. */
const tokenizer = {
  encode: (text: string) => Uint32Array.from(text, (one) => one.codePointAt(0) ?? 0),
} as unknown as Tokenizer;

function item(head: string, shots: readonly string[], question: string): Item {
  const judge = { kind: "first" } as const;
  return { head, shots: shots.map((one) => [one, ""]), question, answer: "", judge, maxTokens: 1 };
}

const marks = (...parts: Parameters<typeof item>) =>
  makePrompt(item(...parts), tokenizer).segments.map((one) =>
    "begin" in one ? [one.kind, one.begin, one.end] : [],
  );

describe("makePrompt", () => {
  it("marks head, shots and question by their tokens", () => {
    expect(marks("head", ["shot".repeat(5), "other"], "q".repeat(16))).toEqual([
      ["system", 0, 4],
      ["shot", 4, 24],
      ["shot", 24, 29],
      ["question", 29, 45],
    ]);
  });

  it("forces the last 16 tokens where the question is shorter", () => {
    expect(marks("", ["s".repeat(20), "t".repeat(4), "u".repeat(3)], "q".repeat(10))).toEqual([
      ["shot", 0, 20],
      ["shot", 20, 21],
      ["system", 21, 24],
      ["system", 24, 27],
      ["question", 27, 37],
    ]);
  });
});

import { describe, expect, it } from "vitest";
import { accuracy, deviation, isRight } from "../../../../bench/quality/score.ts";

const marked = { kind: "marked", mark: "The answer is" } as const;
const first = { kind: "first" } as const;

describe("isRight", () => {
  // Each judged by the study's own rule.
  it.each([
    [" 8 * 3 = 24. The answer is 24.", "24", marked, true],
    [" 8 * 3 = 24. The answer is   24", "24", marked, true],
    [" 8 * 3 = 24.", "24", marked, false],
    [" 24", "24", marked, false],
    [" The answer is 25. The answer is 24.", "24", marked, false],
    [" The answer is -3.", "-3", marked, true],
    [" 8 * 3 = 24.\nThe answer is 24.", "24", marked, false],
    [" The answer is 240.", "24", marked, false],
    [" 77410.", "77410", first, true],
    [" the number 77410", "77410", first, true],
    [" 7 77410", "77410", first, false],
    ["\n77410", "77410", first, false],
    [" 77410<|im_end|>", "77410", first, true],
    ["", "77410", first, false],
  ] as const)("%j for %s", (text, expected, judge, right) => {
    expect(isRight(text, expected, judge)).toBe(right);
  });
});

describe("accuracy", () => {
  it("is a mean of 0s and 1s with its standard error", () => {
    const { n, mean, standardError } = accuracy([true, true, true, false]);
    expect([n, mean]).toEqual([4, 0.75]);
    expect(standardError).toBeCloseTo(Math.sqrt((0.75 * 0.25) / 4), 12);
  });
});

describe("deviation", () => {
  const of = (mean: number, n: number) => ({ n, mean, standardError: NaN });

  it("is in standard errors of the difference", () => {
    expect(deviation(of(0.6, 100), of(0.5, 100))).toBeCloseTo(0.1 / Math.sqrt(0.0049), 12);
  });

  it("is 0 for equal results, and finite beside none or all", () => {
    expect(deviation(of(1, 60), of(1, 200))).toBe(0);
    expect(Math.abs(deviation(of(0.98, 60), of(1, 200)))).toBeLessThan(3);
    expect(deviation(of(1, 60), of(0, 200))).toBeGreaterThan(3);
  });
});

import { describe, expect, it } from "vitest";
import { best, median, ratios, summarize } from "../../../bench/statistics.ts";

const rounds = (...values: number[]): Map<number, number> => new Map(values.entries());

describe("median", () => {
  it("is the middle of an odd number of values, in any order", () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  it("is the mean of the two middle ones of an even number", () => {
    expect(median([4, 1, 2, 100])).toBe(3);
  });

  it("of nothing is NaN", () => {
    expect(median([])).toBeNaN();
  });

  it("leaves its input as it is", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("best", () => {
  it("is the most of a rate and the least of a time", () => {
    expect(best([2, 3, 1], "higher")).toBe(3);
    expect(best([2, 3, 1], "lower")).toBe(1);
  });

  it("of nothing is NaN, not Infinity", () => {
    expect(best([], "lower")).toBeNaN();
  });
});

describe("summarize", () => {
  it("gives best, median and the number of rounds", () => {
    expect(summarize([1, 2, 6], "higher")).toEqual({ best: 6, median: 2, nRounds: 3 });
  });
});

describe("ratios", () => {
  it("pairs values of the same round, so that a slow round cancels out", () => {
    expect(ratios(rounds(10, 5), rounds(20, 10))).toEqual({
      min: 0.5,
      median: 0.5,
      max: 0.5,
      nRounds: 2,
    });
  });

  it("leaves out rounds that only one of them has", () => {
    const ours = new Map([
      [0, 10],
      [1, 30],
    ]);
    expect(ratios(ours, new Map([[1, 10]]))).toMatchObject({ min: 3, nRounds: 1 });
  });
});

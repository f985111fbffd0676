import { describe, expect, test } from "vitest";
import {
  judgeChunks,
  judgeEqual,
  judgeOverlap,
  judgePerHead,
  judgeShared,
} from "../../../src/parity/kept-sets.ts";

const EPS = { absolute: 0.01, relative: 0 };
const f32 = (...values: number[]) => Float32Array.from(values);

test("judgeEqual: the same sets", () => {
  expect(judgeEqual([[0, 2], [1]], [[0, 2], [1]])).toEqual({
    nWrong: 0,
    nDiffering: 0,
    reason: "",
  });
  expect(judgeEqual([[0, 2], [2]], [[0, 2], [1]])).toMatchObject({ nWrong: 2, nDiffering: 2 });
  expect(judgeEqual([[0, 2]], [[0, 2], [1]]).nWrong).toBe(1);
});

describe("judgePerHead", () => {
  const scores = [f32(0.9, 0.5, 0.495, 0.1)];

  test("passes the golden set and any choice among scores within eps of the cut", () => {
    expect(judgePerHead([[0, 1]], [[0, 1]], scores, EPS)).toMatchObject({
      nWrong: 0,
      nDiffering: 0,
    });
    expect(judgePerHead([[0, 2]], [[0, 1]], scores, EPS)).toMatchObject({
      nWrong: 0,
      nDiffering: 2,
    });
  });

  test("fails another choice, and says which", () => {
    expect(judgePerHead([[0, 2]], [[0, 1]], scores, { ...EPS, absolute: 0.001 }).nWrong).toBe(1);
    const verdict = judgePerHead([[0, 3]], [[0, 1]], scores, EPS);
    expect(verdict.nWrong).toBe(1);
    expect(verdict.reason).toMatch(/^head 0: keeps 3 \(score 0\.1/);
    expect(judgePerHead([[1, 2]], [[0, 1]], scores, EPS).reason).toMatch(/^head 0: drops 0/);
  });

  test("fails another count, even of allowed positions", () => {
    const verdict = judgePerHead([[0, 1, 2]], [[0, 1]], scores, EPS);
    expect(verdict).toMatchObject({ nWrong: 1, reason: "head 0: keeps 3, not 2" });
  });

  test("fails a head that is not there", () => {
    expect(judgePerHead([], [[0, 1]], scores, EPS).nWrong).toBeGreaterThan(0);
  });

  test("a relative tolerance grows with the cut", () => {
    const tolerance = { absolute: 0, relative: 0.02 }; // of 0.5: 0.01
    expect(judgePerHead([[0, 2]], [[0, 1]], scores, tolerance).nWrong).toBe(0);
    expect(judgePerHead([[0, 2]], [[0, 1]], scores, { absolute: 0, relative: 0.002 }).nWrong).toBe(
      1,
    );
    expect(judgePerHead([[0, 1, 2, 3]], [[0, 1, 2, 3]], scores, tolerance).nWrong).toBe(0);
    expect(judgePerHead([[0]], [[]], scores, tolerance).nWrong).toBe(2);
  });

  test("takes keep-all and keep-none", () => {
    expect(judgePerHead([[0, 1, 2, 3]], [[0, 1, 2, 3]], scores, EPS).nWrong).toBe(0);
    expect(judgePerHead([[]], [[]], scores, EPS).nWrong).toBe(0);
    expect(judgePerHead([[0]], [[]], scores, EPS).nWrong).toBe(2);
  });

  test("with chunks, each chunk has its own cut", () => {
    const chunked = [f32(0.9, 0.8, 0.2, 0.1)];
    expect(judgePerHead([[0, 2]], [[0, 2]], chunked, EPS, 2).nWrong).toBe(0);
    expect(judgePerHead([[0, 1]], [[0, 2]], chunked, EPS, 2).nWrong).toBeGreaterThan(0);
    expect(judgePerHead([[0, 1]], [[0, 1]], chunked, EPS).nWrong).toBe(0);
  });

  test("takes scores below zero", () => {
    expect(judgePerHead([[1]], [[1]], [f32(-21, -19, -20)], EPS).nWrong).toBe(0);
    expect(judgePerHead([[0]], [[1]], [f32(-21, -19, -20)], EPS).nWrong).toBe(1);
  });
});

describe("judgeChunks", () => {
  // Chunks of 2 of 5 positions, two heads: sums 1.0, 3.0, and 2.5 for the single last position.
  const scores = [f32(0.5, 0.5, 1.5, 1.5, 2.5), f32(0.5, 0.5, 1.5, 1.5, 0)];

  test("passes whole chunks by the mean of the sum over heads", () => {
    const golden = [
      [2, 3, 4],
      [2, 3, 4],
    ];
    expect(judgeChunks(golden, golden, scores, EPS, 2).nWrong).toBe(0);
    expect(
      judgeChunks(
        [
          [0, 1, 4],
          [2, 3, 4],
        ],
        golden,
        scores,
        EPS,
        2,
      ).nWrong,
    ).toBe(2);
    expect(
      judgeChunks(
        [
          [2, 3],
          [2, 3, 4],
        ],
        golden,
        scores,
        EPS,
        2,
      ).nWrong,
    ).toBe(1);
  });
});

describe("judgeShared", () => {
  // Budget 4 of 2 x 4, alpha 0.5: each head is safe with its best one, two more go to the best.
  const scores = [f32(0.9, 0.8, 0.7, 0.1), f32(0.3, 0.2, 0.1, 0.05)];
  const golden = [[0, 1, 2], [0]];

  test("passes the golden set, and a row moved to another head within eps", () => {
    expect(judgeShared(golden, golden, scores, EPS, 0.5).nWrong).toBe(0);
    const near = [f32(0.9, 0.8, 0.2, 0.1), f32(0.3, 0.195, 0.1, 0.05)];
    expect(
      judgeShared(
        [
          [0, 1],
          [0, 1],
        ],
        golden,
        near,
        EPS,
        0.5,
      ).nWrong,
    ).toBe(0);
  });

  test("fails a lost safe row, a wrong row and another count of the layer", () => {
    expect(judgeShared([[0, 1, 2, 3], []], golden, scores, EPS, 0.5).nWrong).toBeGreaterThan(0);
    expect(
      judgeShared(
        [
          [0, 1],
          [0, 1],
        ],
        golden,
        scores,
        EPS,
        0.5,
      ).nWrong,
    ).toBeGreaterThan(0);
    expect(
      judgeShared(
        [
          [0, 1, 2],
          [0, 1],
        ],
        golden,
        scores,
        EPS,
        0.5,
      ).nWrong,
    ).toBeGreaterThan(0);
  });
});

test("judgeOverlap: the count, and nearly all golden positions", () => {
  const golden = [[0, 1, 2, 3]];
  expect(judgeOverlap([[0, 1, 2, 4]], golden, 0.75)).toMatchObject({ nWrong: 0, nDiffering: 2 });
  expect(judgeOverlap([[0, 1, 4, 5]], golden, 0.75).nWrong).toBe(2);
  expect(judgeOverlap([[0, 1, 2]], golden, 0.75).nWrong).toBe(1);
});

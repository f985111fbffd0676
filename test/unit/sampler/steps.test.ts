// Every step by hand. Logits are logarithms of the probabilities wanted.
import { describe, expect, test } from "vitest";
import { allCandidates, type Candidates } from "../../../src/sampler/candidates.ts";
import { argmax } from "../../../src/sampler/greedy.ts";
import { minP } from "../../../src/sampler/min-p.ts";
import { applyPenalties } from "../../../src/sampler/penalties.ts";
import { applyTemperature } from "../../../src/sampler/temperature.ts";
import { topK } from "../../../src/sampler/top-k.ts";
import { topP } from "../../../src/sampler/top-p.ts";
import { sampleKernels } from "../../support/sample-kernels.ts";

const candidatesOf = (...probabilities: number[]): Candidates =>
  allCandidates(Float32Array.from(probabilities, Math.log));
const tokensOf = ({ tokens }: Candidates): number[] => [...tokens];
const probabilitiesOf = ({ logits }: Candidates): number[] => [...sampleKernels.softmax(logits)];

describe("argmax", () => {
  test.each([
    [[1, 3, 2], 1],
    [[2, 5, 5, 5], 1],
    [[NaN, 1, NaN], 1],
    [[1, NaN, 2], 2],
    [[-Infinity, -Infinity], 0],
    [[NaN, -Infinity], 1],
    [[-0, 0], 0],
    [[1, Infinity], 1],
  ])("%j: %i", (logits, token) => {
    expect(argmax(Float32Array.from(logits))).toBe(token);
  });

  test("only NaN, or nothing: RangeError", () => {
    expect(() => argmax(Float32Array.of(NaN, NaN))).toThrow(RangeError);
    expect(() => argmax(new Float32Array(0))).toThrow(RangeError);
  });
});

describe("topK", () => {
  test("keeps the k highest, highest first, of equal ones the earlier", () => {
    expect(tokensOf(topK(candidatesOf(0.1, 0.3, 0.1, 0.3, 0.2), 3, sampleKernels))).toEqual([
      1, 3, 4,
    ]);
    expect(tokensOf(topK(candidatesOf(0.1, 0.3, 0.3, 0.3), 2, sampleKernels))).toEqual([1, 2]);
  });

  test("k of the size or above changes nothing", () => {
    const all = candidatesOf(0.25, 0.75);
    expect(topK(all, 2, sampleKernels)).toBe(all);
    expect(topK(all, 9, sampleKernels)).toBe(all);
  });

  test("keeps the tokens of candidates that were cut before", () => {
    const cut = topK(candidatesOf(0.1, 0.2, 0.3, 0.4), 3, sampleKernels);
    expect(tokensOf(topK(cut, 2, sampleKernels))).toEqual([3, 2]);
  });
});

describe("topP", () => {
  const candidates = candidatesOf(0.1, 0.5, 0.125, 0.25, 0.025);
  test.each([
    [0, [1]],
    [0.49, [1]],
    [0.51, [1, 3]],
    [0.74, [1, 3]],
    [0.76, [1, 3, 2]],
    [0.97, [1, 3, 2, 0]],
    [0.99, [1, 3, 2, 0, 4]],
  ])("p = %d keeps %j", (p, tokens) => {
    expect(tokensOf(topP(candidates, p, sampleKernels))).toEqual(tokens);
  });

  test("the token that reaches p belongs to it", () => {
    expect(tokensOf(topP(candidatesOf(0.5, 0.5), 0.5, sampleKernels))).toEqual([0]);
  });

  test("looks further than its first look where the distribution is flat", () => {
    const flat = allCandidates(new Float32Array(1_000));
    const kept = topP(flat, 0.7004, sampleKernels);
    expect(tokensOf(kept)).toEqual(Array.from({ length: 701 }, (_, i) => i));
  });
});

describe("minP", () => {
  const candidates = candidatesOf(0.1, 0.5, 0.15, 0.25);
  test.each([
    [0.19, [0, 1, 2, 3]],
    [0.21, [1, 2, 3]],
    [0.31, [1, 3]],
    [0.51, [1]],
    [1, [1]],
  ])("share %d keeps %j", (share, tokens) => {
    expect(tokensOf(minP(candidates, share, sampleKernels))).toEqual(tokens);
  });
});

describe("applyTemperature", () => {
  test("squares probabilities at 0.5, takes their roots at 2", () => {
    const sharp = probabilitiesOf(applyTemperature(candidatesOf(0.2, 0.8), 0.5));
    expect(sharp[0]).toBeCloseTo(0.04 / (0.04 + 0.64), 6);
    const flat = probabilitiesOf(applyTemperature(candidatesOf(0.2, 0.8), 2));
    expect(flat[0]).toBeCloseTo(1 / 3, 6);
  });

  test("1 leaves probabilities as they are", () => {
    const [low] = probabilitiesOf(applyTemperature(candidatesOf(0.3, 0.7), 1));
    expect(low).toBeCloseTo(0.3, 6);
  });

  test("a tiny temperature leaves the highest alone, without NaN", () => {
    expect(probabilitiesOf(applyTemperature(candidatesOf(0.3, 0.7), 1e-40))).toEqual([0, 1]);
  });
});

describe("applyPenalties", () => {
  const off = { repetition: 1, frequency: 0, presence: 0 };
  const logits = Float32Array.of(4, -4, 0, 1);

  test("repetition divides positive logits and multiplies negative ones, once", () => {
    const got = applyPenalties(logits, [0, 0, 1, 2], { ...off, repetition: 2 });
    expect([...got]).toEqual([2, -8, 0, 1]);
  });

  test("frequency counts occurrences, presence does not", () => {
    expect([...applyPenalties(logits, [0, 0, 1], { ...off, frequency: 0.5 })]).toEqual([
      3, -4.5, 0, 1,
    ]);
    expect([...applyPenalties(logits, [0, 0, 1], { ...off, presence: 0.5 })]).toEqual([
      3.5, -4.5, 0, 1,
    ]);
  });

  test("all three together: repetition first", () => {
    const all = { repetition: 2, frequency: 0.25, presence: 1 };
    expect([...applyPenalties(logits, [0, 0], all)]).toEqual([4 / 2 - 2 * 0.25 - 1, -4, 0, 1]);
  });

  test("tokens outside the vocabulary are ignored, the input is not changed", () => {
    expect([...applyPenalties(logits, [-1, 4, 99], { ...off, presence: 1 })]).toEqual([...logits]);
    expect([...logits]).toEqual([4, -4, 0, 1]);
  });
});

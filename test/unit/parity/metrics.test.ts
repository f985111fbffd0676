import { describe, expect, test } from "vitest";
import {
  argmax,
  compareGreedy,
  klDivergence,
  logProbability,
  maxUlp,
  nmse,
} from "../../../src/parity/metrics.ts";

const f32 = (...values: number[]) => Float32Array.from(values);

test("nmse: squared error over the golden's power; another length or NaN is Infinity", () => {
  expect(nmse([1, 2], [1, 2])).toBe(0);
  expect(nmse([2, 2], [1, 2])).toBeCloseTo(1 / 5, 12);
  expect(nmse([1], [1, 2])).toBe(Infinity);
  expect(nmse([Number.NaN, 2], [1, 2])).toBe(Infinity);
  expect([nmse([0], [0]), nmse([1], [0])]).toEqual([0, Infinity]);
});

test("logProbability and klDivergence: nats, large logits included", () => {
  expect(logProbability([0, 0], 1)).toBeCloseTo(-Math.LN2, 12);
  expect(logProbability([1000, 1000], 0)).toBeCloseTo(-Math.LN2, 12);
  expect(klDivergence([1, 2, 3], [1, 2, 3])).toBe(0);
  const kl = 0.75 * Math.log(0.75 / 0.5) + 0.25 * Math.log(0.25 / 0.5);
  expect(klDivergence([Math.log(3), 0], [0, 0])).toBeCloseTo(kl, 12);
  expect(klDivergence([1, 2], [Number.NaN, 2])).toBe(Infinity);
});

test("argmax: the first on ties", () => {
  expect(argmax([1, 3, 3])).toBe(1);
});

describe("maxUlp", () => {
  test("counts representable steps, over zero too", () => {
    const next = 1 + 2 ** -23;
    expect(maxUlp(f32(1, next), f32(1, 1))).toBe(1);
    expect(maxUlp(f32(-0), f32(0))).toBe(0);
    expect(maxUlp(f32(-(2 ** -149)), f32(2 ** -149))).toBe(2);
  });

  test("NaN equals NaN only; another length is Infinity", () => {
    expect(maxUlp(f32(Number.NaN), f32(Number.NaN))).toBe(0);
    expect(maxUlp(f32(Number.NaN), f32(1))).toBe(Infinity);
    expect(maxUlp(f32(1), f32(1, 2))).toBe(Infinity);
  });
});

test("compareGreedy: up to the first close call", () => {
  const golden = { tokens: [5, 6, 7], margins: [1, 0.005, 1] };
  expect(compareGreedy([5, 9, 9], golden, 0.01)).toEqual({ nCompared: 1, differsAt: undefined });
  expect(compareGreedy([4], golden, 0.01)).toEqual({ nCompared: 1, differsAt: 0 });
  expect(compareGreedy([5, 6], golden, 0.001)).toEqual({ nCompared: 3, differsAt: 2 });
});

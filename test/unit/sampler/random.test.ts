import { expect, test } from "vitest";
import { Xoshiro128 } from "../../../src/sampler/random.ts";

// From the authors' C code (xoshiro128starstar.c, splitmix64.c), compiled with gcc.
test("Xoshiro128: the reference's numbers from the state 1, 2, 3, 4", () => {
  const random = new Xoshiro128([1, 2, 3, 4]);
  expect(Array.from({ length: 10 }, () => random.nextUint32())).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597,
    4258142804,
  ]);
});

test("Xoshiro128: seeded by SplitMix64", () => {
  const random = new Xoshiro128(1234567);
  expect(Array.from({ length: 6 }, () => random.nextUint32())).toEqual([
    1967786208, 270031234, 1115494691, 824886977, 1639868524, 2161081248,
  ]);
});

test("Xoshiro128: fractions are made of 27 and 26 bits", () => {
  const random = new Xoshiro128(1234567);
  const expected = (Math.floor(1967786208 / 32) * 2 ** 26 + Math.floor(270031234 / 64)) / 2 ** 53;
  expect(random.nextFraction()).toBe(expected);
});

test("Xoshiro128: neighbouring seeds, 0 and the largest give different numbers", () => {
  const seeds = [0, 1, 2, 2 ** 32, Number.MAX_SAFE_INTEGER];
  expect(new Set(seeds.map((seed) => new Xoshiro128(seed).nextUint32())).size).toBe(5);
});

import { describe, expect, test } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import { createSampler } from "../../../src/sampler/sampler.ts";
import type { SamplingOptions } from "../../../src/types.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { sampleKernels } from "../../support/sample-kernels.ts";

const logitsOf = (...probabilities: number[]): Float32Array =>
  Float32Array.from(probabilities, Math.log);

function counts(options: SamplingOptions, logits: Float32Array, nDraws: number): number[] {
  const sampler = createSampler(options, sampleKernels);
  const counted = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < nDraws; i++) {
    const token = sampler.sample(logits, []);
    counted[token] = (counted[token] ?? 0) + 1;
  }
  return counted;
}

/** Σ (observed - expected)² / expected over the tokens with a probability. */
function chiSquare(observed: readonly number[], probabilities: readonly number[]): number {
  const nDraws = observed.reduce((a, b) => a + b, 0);
  return probabilities.reduce((sum, probability, i) => {
    const expected = probability * nDraws;
    return expected === 0 ? sum : sum + ((observed[i] ?? 0) - expected) ** 2 / expected;
  }, 0);
}

describe("greedy", () => {
  test("is the default: argmax, the first of equals, NaN never", () => {
    const sampler = createSampler({}, sampleKernels);
    expect(sampler.sample(Float32Array.of(1, 3, 3), [])).toBe(1);
    expect(sampler.sample(Float32Array.of(NaN, 3, NaN), [])).toBe(1);
  });

  test("penalties come before it", () => {
    const sampler = createSampler({ presencePenalty: 2 }, sampleKernels);
    expect(sampler.sample(Float32Array.of(1, 3, 2), [1])).toBe(2);
  });
});

describe("sampling", () => {
  const probabilities = [0.4, 0.3, 0.2, 0.06, 0.04];
  const logits = logitsOf(...probabilities);
  const LIMIT = 18.47; // chi-square, 4 degrees of freedom, p = 0.001

  test.each<[string, SamplingOptions, number[]]>([
    ["temperature 1", { temperature: 1 }, probabilities],
    ["top-k 2", { temperature: 1, topK: 2 }, [4 / 7, 3 / 7, 0, 0, 0]],
    ["top-p 0.8", { temperature: 1, topP: 0.8 }, [4 / 9, 3 / 9, 2 / 9, 0, 0]],
    ["min-p 0.4", { temperature: 1, minP: 0.4 }, [4 / 9, 3 / 9, 2 / 9, 0, 0]],
    ["temperature 0.5", { temperature: 0.5, topK: 2 }, [16 / 25, 9 / 25, 0, 0, 0]],
    // The cuts see the distribution before the temperature.
    [
      "top-p, then temperature 2",
      { temperature: 2, topP: 0.6 },
      [2 / 3.7320508, 1.7320508 / 3.7320508, 0, 0, 0],
    ],
    ["top-k, then top-p among them", { temperature: 1, topK: 2, topP: 0.5 }, [1, 0, 0, 0, 0]],
  ])("%s: frequencies of 20,000 draws follow the distribution", (_, options, expected) => {
    const observed = counts({ ...options, seed: 7 }, logits, 20_000);
    expected.forEach((probability, token) => {
      if (probability === 0) expect(observed[token]).toBe(0);
    });
    expect(chiSquare(observed, expected)).toBeLessThan(LIMIT);
  });

  test("the same seed gives the same tokens, another seed others", () => {
    const draw = (seed: number): number[] => {
      const sampler = createSampler({ temperature: 1, seed }, sampleKernels);
      return Array.from({ length: 50 }, () => sampler.sample(logits, []));
    };
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  test("a known sequence: no runtime may give another one", () => {
    const sampler = createSampler({ temperature: 1, seed: 1234567 }, sampleKernels);
    // Fractions 0.45816, 0.25972, 0.38181 of the cumulated 0.4, 0.7, 0.9, 0.96, 1.
    expect(Array.from({ length: 3 }, () => sampler.sample(logits, []))).toEqual([1, 0, 0]);
  });

  test("NaN and -Infinity are never drawn", () => {
    const odd = Float32Array.of(NaN, 0, -Infinity, 0, NaN);
    const observed = counts({ temperature: 1, topP: 0.99, minP: 0.01 }, odd, 500);
    expect(observed.map((n) => n > 0)).toEqual([false, true, false, true, false]);
  });

  test("an infinite logit wins", () => {
    const sampler = createSampler({ temperature: 1 }, sampleKernels);
    expect(sampler.sample(Float32Array.of(1, Infinity, 2), [])).toBe(1);
    expect(sampler.sample(Float32Array.of(-Infinity, -Infinity), [])).toBe(0);
  });

  test("changes neither logits nor the tokens seen", () => {
    const before = logits.slice();
    const recent = [0, 0, 1];
    const options = { temperature: 1, topK: 3, repetitionPenalty: 1.3, frequencyPenalty: 0.2 };
    createSampler(options, sampleKernels).sample(logits, recent);
    expect(logits).toEqual(before);
    expect(recent).toEqual([0, 0, 1]);
  });

  test("1,000 random distributions: every draw was allowed by top-k", () => {
    const rng = new Rng(seedOf("top-k draws"));
    const sampler = createSampler(
      { temperature: 1.5, topK: 4, topP: 0.95, minP: 0.01 },
      sampleKernels,
    );
    for (let i = 0; i < 1_000; i++) {
      const random = rng.normals(40, 3);
      const allowed = sampleKernels.topK(random, 4).tokens;
      expect(allowed, `seed ${rng.seed}, case ${i}`).toContain(sampler.sample(random, []));
    }
  });
});

describe("logprobs", () => {
  const logits = logitsOf(0.1, 0.4, 0.3, 0.2).map((logit) => logit + 5);
  const sampler = createSampler({ temperature: 2, topK: 1 }, sampleKernels);

  test("log-softmax of the raw logits, the top highest first", () => {
    const { token, logprob, top } = sampler.logprobs(logits, 3, 2);
    expect(token).toBe(3);
    expect(logprob).toBeCloseTo(Math.log(0.2), 5);
    expect(top.map((entry) => entry.token)).toEqual([1, 2]);
    expect(top[0]?.logprob).toBeCloseTo(Math.log(0.4), 5);
    expect(top[1]?.logprob).toBeCloseTo(Math.log(0.3), 5);
  });

  test("0 alternatives, and more than there are", () => {
    expect(sampler.logprobs(logits, 0, 0).top).toEqual([]);
    expect(sampler.logprobs(logits, 0, 9).top.length).toBe(4);
  });
});

describe("options outside their range", () => {
  test.each<[SamplingOptions, string]>([
    [{ temperature: -1 }, "temperature must be a number from 0 to 100, got -1"],
    [{ temperature: NaN }, "temperature must be a number from 0 to 100, got NaN"],
    [{ topK: 1.5 }, "topK must be an integer from 0 to 4294967295, got 1.5"],
    [{ topP: 1.1 }, "topP must be a number from 0 to 1, got 1.1"],
    [{ minP: -0.1 }, "minP must be a number from 0 to 1, got -0.1"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty must be a number above 0 and at most 100, got 0"],
    [{ frequencyPenalty: 3 }, "frequencyPenalty must be a number from -2 to 2, got 3"],
    [{ presencePenalty: -3 }, "presencePenalty must be a number from -2 to 2, got -3"],
    [{ seed: -1 }, "seed must be an integer from 0 to 9007199254740991, got -1"],
    [
      { topK: "5" } as unknown as SamplingOptions,
      "topK must be an integer from 0 to 4294967295, got 5",
    ],
  ])("%j", (options, message) => {
    const run = (): unknown => createSampler(options, sampleKernels);
    expect(run).toThrow(KvasirError);
    expect(run).toThrow(`Cannot sample: ${message}`);
  });
});

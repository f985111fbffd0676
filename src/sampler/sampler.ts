import type { SamplingOptions } from "../types.ts";
import { allCandidates, type Candidates } from "./candidates.ts";
import { certainToken } from "./certain-token.ts";
import { draw } from "./draw.ts";
import { type Drawn, type DrawRule, drawRuleOf } from "./draw-rule.ts";
import { argmax } from "./greedy.ts";
import type { SampleKernels } from "./kernels.ts";
import { logprobsOf, type TokenLogprobs } from "./logprobs.ts";
import { minP } from "./min-p.ts";
import { resolveSampling, type ResolvedSampling } from "./options.ts";
import { applyPenalties } from "./penalties.ts";
import { Xoshiro128 } from "./random.ts";
import { applyTemperature } from "./temperature.ts";
import { topK } from "./top-k.ts";
import { topP } from "./top-p.ts";

export interface Sampler {
  /**
   * Chooses the next token, and moves the random numbers on unless the choice is greedy.
   *
   * @param logits f32[vocabSize]; not changed. NaN counts as -Infinity.
   * @param recent Ids of the tokens that the penalties look at; the caller decides how many.
   * @throws {RangeError} When every logit is NaN.
   */
  sample(logits: Float32Array, recent: ArrayLike<number>): number;
  /** What an engine may draw by in advance; null: `sample` must see all logits. */
  rule(vocabSize: number): DrawRule | null;
  /** The random number of the `n`-th choice from now, from 0 on; moves nothing on. */
  fraction(n: number): number;
  /**
   * What `sample` would choose where an engine drew with `fraction(0)`, and moves on as it does.
   * @returns undefined, and nothing moved on, where `drawn` does not tell.
   */
  confirm(drawn: Drawn, rule: DrawRule): number | undefined;
  /** Log-softmax of the raw logits: of the token, and of the `nTop` most likely ones. */
  logprobs(logits: Float32Array, token: number, nTop: number): TokenLogprobs;
}

/**
 * Makes a sampler. The steps and their order are llama.cpp's:
 *
 *     penalties -> top-k -> top-p -> min-p -> temperature -> draw
 *
 * so the cuts see the model's own distribution, whatever the temperature. At temperature 0 it is
 * penalties -> argmax. The same seed, options and logits give the same tokens in every runtime.
 *
 * @throws {KvasirError} `bad-option` for an option outside its range.
 */
export function createSampler(options: SamplingOptions, kernels: SampleKernels): Sampler {
  const resolved = resolveSampling(options);
  const random = new Xoshiro128(resolved.seed);
  const upcoming: number[] = [];
  const nextFraction = (): number => upcoming.shift() ?? random.nextFraction();
  return {
    rule: (vocabSize) => drawRuleOf(resolved, vocabSize),
    fraction(n) {
      while (upcoming.length <= n) upcoming.push(random.nextFraction());
      return upcoming[n]!;
    },
    confirm(drawn, rule) {
      const token = certainToken(drawn, rule, this.fraction(0), kernels);
      if (token !== undefined) nextFraction();
      return token;
    },
    sample(logits, recent) {
      const penalized = penalize(logits, recent, resolved);
      const best = argmax(penalized);
      if (resolved.temperature === 0 || penalized[best] === Infinity) return best;
      const fraction = nextFraction();
      if (penalized[best] === -Infinity) return best;
      const candidates = cut(allCandidates(withoutNaN(penalized)), resolved, kernels);
      return draw(applyTemperature(candidates, resolved.temperature), fraction, kernels);
    },
    logprobs: (logits, token, nTop) => logprobsOf(logits, token, nTop, kernels),
  };
}

function penalize(
  logits: Float32Array,
  recent: ArrayLike<number>,
  options: ResolvedSampling,
): Float32Array {
  const penalties = {
    repetition: options.repetitionPenalty,
    frequency: options.frequencyPenalty,
    presence: options.presencePenalty,
  };
  const isOff = penalties.repetition === 1 && penalties.frequency === 0 && penalties.presence === 0;
  return isOff ? logits : applyPenalties(logits, recent, penalties);
}

function cut(all: Candidates, options: ResolvedSampling, kernels: SampleKernels): Candidates {
  let candidates = all;
  if (options.topK > 0) candidates = topK(candidates, options.topK, kernels);
  if (options.topP < 1) candidates = topP(candidates, options.topP, kernels);
  if (options.minP > 0) candidates = minP(candidates, options.minP, kernels);
  return candidates;
}

function withoutNaN(logits: Float32Array): Float32Array {
  return logits.map((logit) => (Number.isNaN(logit) ? -Infinity : logit));
}

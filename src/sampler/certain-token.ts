// Whether what an engine drew is what the host would draw from all logits: then nobody need read them.
//
// Logits that an engine tells are exact, its sums are not. So the host does its own arithmetic where
// the candidates are all that it needs, and otherwise goes by sums only where no error of theirs could
// make another token of it.
import { type Candidates, pickCandidates } from "./candidates.ts";
import { draw } from "./draw.ts";
import type { Drawn, DrawRule } from "./draw-rule.ts";
import type { SampleKernels } from "./kernels.ts";
import { minP } from "./min-p.ts";
import { applyTemperature } from "./temperature.ts";
import { topP } from "./top-p.ts";

/**
 * More than the relative error of an f32 sum over a vocabulary, 2^-24 for each of some 70 roundings one
 * after the other, and of an exp as exact as WGSL asks for: 3 + 2|x| units in the last place, |x| about
 * 10 on average.
 */
const SUM_ERROR = 2 ** -17;
/** Below it the kernels' e^x is 0 and this file's is not. */
const LEAST_SHARE = 1e-30;
/** Cuts whose place is in doubt are tried, so many. */
const MAX_CUTS = 4;

/**
 * The token that the sampler would choose from all logits, the same bits throughout.
 *
 * @param fraction 0 <= fraction < 1: what the engine was told.
 * @returns undefined where the engine tells too little: all logits are needed.
 */
export function certainToken(
  drawn: Drawn,
  rule: DrawRule,
  fraction: number,
  kernels: SampleKernels,
): number | undefined {
  if (!Number.isFinite(drawn.highest)) return undefined;
  if (rule.nCandidates === 0) return isClear(drawn, fraction) ? drawn.token : undefined;
  let token: number | undefined;
  for (const cut of possibleCuts(drawn, rule, kernels)) {
    const next = draw(applyTemperature(cut, rule.temperature), fraction, kernels);
    if (token !== undefined && next !== token) return undefined;
    token = next;
  }
  return token;
}

/** Whether `fraction` lies within the token's part of the sum and not at its edges. */
function isClear({ before, own, total }: Drawn, fraction: number): boolean {
  return fraction > before / total + SUM_ERROR && fraction < (before + own) / total - SUM_ERROR;
}

/** What may be left of the candidates after the cuts; empty where more than they may be left. */
function possibleCuts(drawn: Drawn, rule: DrawRule, kernels: SampleKernels): Candidates[] {
  const { candidates } = drawn;
  const cutMinP = (left: Candidates): Candidates =>
    rule.minP > 0 ? minP(left, rule.minP, kernels) : left;
  if (rule.isTopK)
    return [cutMinP(rule.topP < 1 ? topP(candidates, rule.topP, kernels) : candidates)];
  const sizes = rule.topP < 1 ? nucleusSizes(drawn, rule) : likelySizes(drawn, rule);
  if (sizes.length > MAX_CUTS) return [];
  return sizes.map((n) => {
    const places = Array.from({ length: n }, (_, place) => place);
    if (rule.topP < 1) return cutMinP(pickCandidates(candidates, places));
    places.sort((a, b) => candidates.tokens[a]! - candidates.tokens[b]!);
    return pickCandidates(candidates, places);
  });
}

/** How many candidates may be the fewest whose probabilities add up to `topP`. */
function nucleusSizes(
  { candidates, highest, total }: Drawn,
  { topP: p, isWhole }: DrawRule,
): number[] {
  const sizes: number[] = [];
  let mass = 0;
  for (const [i, logit] of candidates.logits.entries()) {
    if (mass >= p + SUM_ERROR) return sizes;
    mass += Math.exp(logit - highest) / total;
    const isLast = isWhole && i === candidates.logits.length - 1;
    if (mass >= p - SUM_ERROR || isLast) sizes.push(i + 1);
  }
  return isWhole || mass >= p + SUM_ERROR ? sizes : [];
}

/** How many candidates may be at least `minP` times as probable as the first. */
function likelySizes({ candidates, highest }: Drawn, { minP: least, isWhole }: DrawRule): number[] {
  if (least < LEAST_SHARE) return [];
  const sizes: number[] = [];
  const share = (place: number): number =>
    Math.exp((candidates.logits[place] ?? -Infinity) - highest);
  const [low, high] = [least * (1 - SUM_ERROR), least * (1 + SUM_ERROR)];
  const nCandidates = candidates.tokens.length;
  for (let n = 1; n <= nCandidates && share(n - 1) >= low; n++) {
    if (n === nCandidates && !isWhole) return [];
    if (share(n) <= high) sizes.push(n);
  }
  return sizes;
}

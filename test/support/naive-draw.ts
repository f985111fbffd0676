// Drawing a token by plain loops over all columns, in f64 and without a sort.
import type { DrawRule } from "../../src/sampler/draw-rule.ts";

/** Columns in the order in which they are drawn, each with its part [begin, end) of 0 .. 1. */
export type Parts = readonly {
  readonly token: number;
  readonly begin: number;
  readonly end: number;
}[];

const clean = (logit: number): number => (Number.isNaN(logit) ? -Infinity : logit);

/** The k largest, one after the other, the first of equal ones. */
export function naiveTop(logits: Float32Array, k: number): number[] {
  const isTaken = new Uint8Array(logits.length);
  return Array.from({ length: k }, () => {
    let best = -1;
    for (let i = 0; i < logits.length; i++) {
      if (isTaken[i] === 1) continue;
      if (best === -1 || clean(logits[i] ?? NaN) > clean(logits[best] ?? NaN)) best = i;
    }
    isTaken[best] = 1;
    return best;
  });
}

/** Sum of e^((logit - highest) / temperature). */
export function naiveTotal(logits: Float32Array, highest: number, temperature: number): number {
  let sum = 0;
  for (const logit of logits) sum += Math.exp((clean(logit) - highest) / temperature);
  return sum;
}

/** @param top The candidates of the rule, none where all columns are drawn from. */
export function naiveParts(logits: Float32Array, top: readonly number[], rule: DrawRule): Parts {
  const value = (token: number): number => clean(logits[token] ?? NaN);
  const highest = logits.reduce((a, b) => Math.max(a, clean(b)), -Infinity);
  let left = top.length > 0 ? [...top] : Array.from(logits.keys());
  if (rule.topP < 1) {
    const of = rule.isTopK ? top.map(value) : Array.from(logits, clean);
    const total = of.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
    let mass = 0;
    let n = 0;
    while (n < left.length && (n === 0 || mass < rule.topP * total)) {
      mass += Math.exp(value(left[n] ?? 0) - highest);
      n++;
    }
    left = left.slice(0, n);
  } else if (!rule.isTopK) left.sort((a, b) => a - b);
  left = left.filter((token) => Math.exp(value(token) - highest) >= rule.minP);
  const weights = left.map((token) => Math.exp((value(token) - highest) / rule.temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  let end = 0;
  return left.map((token, i) => ({ token, begin: end / sum, end: (end += weights[i] ?? 0) / sum }));
}

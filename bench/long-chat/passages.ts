// A text cut into passages of whole sentences, and the order in which a chat goes through them.
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

/** Consecutive passages of at least `nTokens` tokens each; a rest that is shorter is left out. */
export function cutPassages(text: string, nTokens: number, tokenizer: Tokenizer): string[] {
  const sentences = text
    .replace(/\s+/g, " ")
    .trim()
    .split(/(?<=[.!?]["”]?) /);
  const passages: string[] = [];
  let open = "";
  for (const sentence of sentences) {
    open = open === "" ? sentence : `${open} ${sentence}`;
    if (tokenizer.encode(open).length < nTokens) continue;
    passages.push(open);
    open = "";
  }
  return passages;
}

/**
 * Indices of `nTurns` passages: in the text's order first, then round after round in steps that visit
 * every passage once. Each round has a step of its own, chosen so that no passage comes again soon.
 */
export function passageOrder(nPassages: number, nTurns: number): number[] {
  const rounds = [Array.from({ length: nPassages }, (_, i) => i)];
  let steps = rounds[0]?.filter((step) => greatestCommonDivisor(step, nPassages) === 1) ?? [];
  steps = steps.filter((step) => step !== 1);
  while (rounds.length * nPassages < nTurns) {
    const before = rounds.at(-1) ?? [];
    const choices = steps.flatMap((step) => before.map((first) => ({ step, first })));
    const orders = choices.map(({ step, first }) =>
      before.map((_, i) => (first + i * step) % nPassages),
    );
    const distances = orders.map((order) => leastDistance(before, order));
    const best = distances.indexOf(Math.max(...distances));
    rounds.push(orders[best] ?? before);
    steps = steps.filter((step) => step !== choices[best]?.step);
  }
  return rounds.flat().slice(0, nTurns);
}

/** The fewest turns from a passage in one round to the same in the next. */
function leastDistance(before: readonly number[], order: readonly number[]): number {
  const all = before.map((passage, i) => before.length - i + order.indexOf(passage));
  return Math.min(...all);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

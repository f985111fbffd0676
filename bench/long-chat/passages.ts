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
 * every passage once, each round in an order of its own.
 */
export function passageOrder(nPassages: number, nTurns: number): number[] {
  const order: number[] = [];
  for (let step = 1; order.length < nTurns; step++) {
    if (greatestCommonDivisor(step, nPassages) !== 1) continue;
    for (let i = 0; i < nPassages; i++) order.push((i * step) % nPassages);
  }
  return order.slice(0, nTurns);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

import type { Candidates } from "./candidates.ts";
import type { SampleKernels } from "./kernels.ts";

/**
 * Draws a token by its probability.
 *
 * @param fraction 0 <= fraction < 1: the place in the candidates' cumulated probability.
 */
export function draw(
  { tokens, logits }: Candidates,
  fraction: number,
  kernels: SampleKernels,
): number {
  const probabilities = kernels.softmax(logits);
  // The f32 probabilities add up to 1 only nearly.
  const total = probabilities.reduce((sum, probability) => sum + probability, 0);
  let rest = fraction * total;
  let last = 0;
  for (let i = 0; i < tokens.length; i++) {
    const probability = probabilities[i]!;
    if (probability === 0) continue;
    if (rest < probability) return tokens[i]!;
    rest -= probability;
    last = i;
  }
  return tokens[last]!;
}

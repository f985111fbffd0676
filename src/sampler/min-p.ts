import { type Candidates, pickCandidates } from "./candidates.ts";
import type { SampleKernels } from "./kernels.ts";

/**
 * Keeps the candidates that are at least minP times as probable as the most probable one.
 *
 * @see Nguyen et al. 2024, arXiv:2407.01082, section 3.
 */
export function minP(candidates: Candidates, share: number, kernels: SampleKernels): Candidates {
  const probabilities = kernels.softmax(candidates.logits);
  const highest = probabilities.reduce((a, b) => Math.max(a, b), 0);
  const places: number[] = [];
  probabilities.forEach((probability, place) => {
    if (probability >= share * highest) places.push(place);
  });
  return pickCandidates(candidates, places);
}

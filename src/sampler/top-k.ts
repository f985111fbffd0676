import { type Candidates, pickCandidates } from "./candidates.ts";
import type { SampleKernels } from "./kernels.ts";

/** Keeps the k candidates with the highest logits, highest first; of equal ones the earlier. */
export function topK(candidates: Candidates, k: number, kernels: SampleKernels): Candidates {
  if (k >= candidates.tokens.length) return candidates;
  return pickCandidates(candidates, kernels.topK(candidates.logits, k).tokens);
}

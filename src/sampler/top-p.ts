import { type Candidates, pickCandidates } from "./candidates.ts";
import type { SampleKernels } from "./kernels.ts";

// Nuclei are mostly small: look at this many first, then at eight times as many.
const FIRST_LOOK = 64;

/**
 * Keeps the fewest candidates, highest first, whose probabilities add up to at least p; at least
 * one (nucleus sampling).
 *
 * @see Holtzman et al. 2019, arXiv:1904.09751, section 3.1.
 */
export function topP(candidates: Candidates, p: number, kernels: SampleKernels): Candidates {
  const probabilities = kernels.softmax(candidates.logits);
  const nCandidates = candidates.tokens.length;
  for (let nLook = FIRST_LOOK; ; nLook *= 8) {
    const looked = Math.min(nLook, nCandidates);
    const places = kernels.topK(candidates.logits, looked).tokens;
    let mass = 0;
    for (let n = 1; n <= looked; n++) {
      mass += probabilities[places[n - 1]!]!;
      if (mass >= p) return pickCandidates(candidates, places.subarray(0, n));
    }
    // Rounding may leave the whole mass just under p.
    if (looked === nCandidates) return pickCandidates(candidates, places);
  }
}

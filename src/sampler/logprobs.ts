import type { SampleKernels } from "./kernels.ts";

export interface Logprob {
  readonly token: number;
  /** Nats. */
  readonly logprob: number;
}

export interface TokenLogprobs extends Logprob {
  /** The most likely tokens, highest first; the chosen one may be among them. */
  readonly top: readonly Logprob[];
}

/**
 * Log-softmax of the model's own logits, before penalties, temperature and cuts. For reports only:
 * the subtraction is in f64 and decides nothing.
 *
 * @param nTop Number of alternatives, at least 0.
 */
export function logprobsOf(
  logits: Float32Array,
  token: number,
  nTop: number,
  kernels: SampleKernels,
): TokenLogprobs {
  const total = kernels.logSumExp(logits);
  const logprob = (i: number): Logprob => ({ token: i, logprob: logits[i]! - total });
  const n = Math.min(nTop, logits.length);
  const top = n > 0 ? Array.from(kernels.topK(logits, n).tokens, logprob) : [];
  return { ...logprob(token), top };
}

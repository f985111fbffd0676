/**
 * The arithmetic of sampling whose last bits would differ between JavaScript engines; Rust supplies
 * it, so that a seed gives the same tokens in every runtime.
 *
 * Logits of -Infinity get probability 0. Inputs are not changed; results belong to the caller.
 */
export interface SampleKernels {
  /** @returns Probabilities, f32, the same order and length. */
  softmax(logits: Float32Array): Float32Array;
  /**
   * The k highest logits, descending; of equal logits the lower index comes first.
   *
   * @param k From 1 to logits.length.
   * @returns `tokens`: indices into `logits`.
   */
  topK(logits: Float32Array, k: number): { tokens: Uint32Array; logits: Float32Array };
  /** ln Σ exp(logits), without overflow. */
  logSumExp(logits: Float32Array): number;
}

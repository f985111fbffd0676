// The arithmetic of sampling in JavaScript, for tests that run without Rust.
import type { SampleKernels } from "../../src/sampler/kernels.ts";

const highestOf = (logits: Float32Array): number =>
  logits.reduce((a, b) => Math.max(a, b), -Infinity);

export const sampleKernels: SampleKernels = {
  softmax(logits) {
    const highest = highestOf(logits);
    const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
    const total = powers.reduce((a, b) => a + b, 0);
    return Float32Array.from(powers, (power) => power / total);
  },
  topK(logits, k) {
    const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
    const tokens = Uint32Array.from(order.slice(0, k));
    return { tokens, logits: Float32Array.from(tokens, (token) => logits[token]!) };
  },
  logSumExp(logits) {
    const highest = highestOf(logits);
    return highest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  },
};

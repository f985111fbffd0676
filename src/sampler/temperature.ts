import type { Candidates } from "./candidates.ts";

/**
 * Divides the logits by the temperature: below 1 sharper, above 1 flatter.
 *
 * The highest logit is taken off first, which changes no probability and keeps tiny temperatures
 * from overflowing.
 *
 * @param temperature > 0.
 */
export function applyTemperature({ tokens, logits }: Candidates, temperature: number): Candidates {
  const highest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return { tokens, logits: logits.map((logit) => (logit - highest) / temperature) };
}

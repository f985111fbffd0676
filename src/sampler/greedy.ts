/** The token with the highest logit; of equal ones the first. NaN never wins. */
export function argmax(logits: Float32Array): number {
  let best = -1;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (Number.isNaN(logit)) continue;
    if (best === -1 || logit > logits[best]!) best = token;
  }
  if (best === -1) {
    throw new RangeError(`Cannot sample: every logit is NaN, got ${logits.length} logits`);
  }
  return best;
}

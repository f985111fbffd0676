export interface Penalties {
  /** Divides positive logits of tokens seen, multiplies negative ones. 1 is off. */
  readonly repetition: number;
  /** Taken off once per occurrence. 0 is off. */
  readonly frequency: number;
  /** Taken off once. 0 is off. */
  readonly presence: number;
}

/**
 * Makes tokens that were just seen less likely, in llama.cpp's order: repetition, then frequency
 * and presence. Negative values make them likelier.
 *
 * @param recent Token ids; those outside the vocabulary are ignored.
 * @returns New logits.
 * @see Keskar et al. 2019, arXiv:1909.05858, section 4.1. Deviation: negative logits are multiplied,
 *   else a penalty would make them likelier.
 */
export function applyPenalties(
  logits: Float32Array,
  recent: ArrayLike<number>,
  { repetition, frequency, presence }: Penalties,
): Float32Array {
  const counts = new Map<number, number>();
  for (let i = 0; i < recent.length; i++) {
    counts.set(recent[i]!, (counts.get(recent[i]!) ?? 0) + 1);
  }
  const penalized = logits.slice();
  for (const [token, count] of counts) {
    const logit = logits[token];
    if (logit === undefined) continue;
    const scaled = logit > 0 ? logit / repetition : logit * repetition;
    penalized[token] = scaled - count * frequency - presence;
  }
  return penalized;
}

/** The tokens that may still be drawn, in any order, with their logits; both have the same length. */
export interface Candidates {
  readonly tokens: Uint32Array;
  readonly logits: Float32Array; // never NaN
}

/** Every token of the vocabulary, in the order of ids. */
export function allCandidates(logits: Float32Array): Candidates {
  // Not Uint32Array.from(logits.keys()): its iterator takes milliseconds for a large vocabulary.
  const tokens = new Uint32Array(logits.length);
  for (let token = 0; token < tokens.length; token++) tokens[token] = token;
  return { tokens, logits };
}

/** @param places Indices into the candidates, in the order wanted. */
export function pickCandidates(candidates: Candidates, places: ArrayLike<number>): Candidates {
  return {
    tokens: Uint32Array.from(places, (place) => candidates.tokens[place]!),
    logits: Float32Array.from(places, (place) => candidates.logits[place]!),
  };
}

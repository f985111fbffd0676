// A second implementation of the core ops, by other formulas than the reference engine's: dense
// masks, complex numbers, matrices of f64. It shares no code with `src/`.

/** x / sqrt(mean x^2 + eps) * weight, by normalising to unit length first. */
export function naiveRmsNorm(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  eps: number,
): Float64Array {
  const values = Float64Array.from(x);
  const length = Math.hypot(...values);
  const rms = Math.hypot(length / Math.sqrt(values.length), Math.sqrt(eps));
  return values.map((value, i) => (value / rms) * (weight[i] as number));
}

/** y[r] = sum over c of weight[r, c] x[c], column by column. */
export function naiveMatVec(weight: ArrayLike<number>, x: ArrayLike<number>): Float64Array {
  const [nCols, nRows] = [x.length, weight.length / x.length];
  const y = new Float64Array(nRows);
  for (let col = 0; col < nCols; col++) {
    for (let row = 0; row < nRows; row++) {
      y[row] = (y[row] as number) + (weight[row * nCols + col] as number) * (x[col] as number);
    }
  }
  return y;
}

/** x * e^(i position frequency), pairs as complex numbers; f64[headDim]. */
export function naiveRope(
  head: ArrayLike<number>,
  position: number,
  frequency: (pair: number) => number,
  ropeStyle: "interleaved" | "half",
): Float64Array {
  const out = Float64Array.from(head);
  const nPairs = out.length / 2;
  for (let pair = 0; pair < nPairs; pair++) {
    const [re, im] = ropeStyle === "half" ? [pair, pair + nPairs] : [2 * pair, 2 * pair + 1];
    const [a, b] = [head[re] as number, head[im] as number];
    const [radius, angle] = [Math.hypot(a, b), Math.atan2(b, a) + position * frequency(pair)];
    out[re] = radius * Math.cos(angle);
    out[im] = radius * Math.sin(angle);
  }
  return out;
}

export interface DenseAttention {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** [nQueries, nHeads, headDim] */
  readonly queries: ArrayLike<number>;
  /** For each kv head [nKeys, headDim]. */
  readonly keys: readonly ArrayLike<number>[];
  readonly values: readonly ArrayLike<number>[];
  /** The mask: which keys a query of this kv head may see. */
  readonly isVisible: (kvHead: number, query: number, key: number) => boolean;
}

/** Probabilities f64[nHeads][nQueries][nKeys], from whole rows of scores masked with -Infinity. */
export function naiveProbabilities(attention: DenseAttention): Float64Array[][] {
  const { nHeads, nKvHeads, headDim, queries, keys, scale, isVisible } = attention;
  const nQueries = queries.length / (nHeads * headDim);
  return Array.from({ length: nHeads }, (_, head) => {
    const kvHead = Math.floor((head * nKvHeads) / nHeads);
    const headKeys = keys[kvHead] as ArrayLike<number>;
    return Array.from({ length: nQueries }, (_, query) => {
      const scores = new Float64Array(headKeys.length / headDim);
      for (let key = 0; key < scores.length; key++) {
        let score = 0;
        for (let i = 0; i < headDim; i++) {
          const q = queries[(query * nHeads + head) * headDim + i] as number;
          score += scale * q * (headKeys[key * headDim + i] as number);
        }
        scores[key] = isVisible(kvHead, query, key) ? score : -Infinity;
      }
      // log-sum-exp; a row that sees nothing is all zeros.
      const max = Math.max(...scores);
      if (max === -Infinity) return scores.fill(0);
      const logSum = max + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - max), 0));
      return scores.map((score) => Math.exp(score - logSum));
    });
  });
}

/** f64[nQueries, nHeads, headDim]. */
export function naiveAttention(attention: DenseAttention): Float64Array {
  const { nHeads, nKvHeads, headDim, queries, values } = attention;
  const out = new Float64Array(queries.length);
  naiveProbabilities(attention).forEach((rows, head) => {
    const headValues = values[Math.floor((head * nKvHeads) / nHeads)] as ArrayLike<number>;
    rows.forEach((probabilities, query) => {
      for (let i = 0; i < headDim; i++) {
        const column = Array.from(probabilities, (p, key) =>
          p === 0 ? 0 : p * (headValues[key * headDim + i] as number),
        );
        out[(query * nHeads + head) * headDim + i] = column.reduce((a, b) => a + b, 0);
      }
    });
  });
  return out;
}

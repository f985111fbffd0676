// How far one result is from another. All sums in f64.

/** Normalised mean squared error: sum (a - b)^2 / sum b^2, b the golden. NaN counts as Infinity. */
export function nmse(measured: ArrayLike<number>, golden: ArrayLike<number>): number {
  if (measured.length !== golden.length) return Infinity;
  let error = 0;
  let power = 0;
  for (let i = 0; i < golden.length; i++) {
    const want = golden[i] ?? 0;
    const difference = (measured[i] ?? 0) - want;
    error += difference * difference;
    power += want * want;
  }
  const ratio = power === 0 ? (error === 0 ? 0 : Infinity) : error / power;
  return Number.isNaN(ratio) ? Infinity : ratio;
}

/** log(sum(exp(logits))). */
function logSumExp(logits: ArrayLike<number>): number {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i] ?? -Infinity);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] ?? -Infinity) - max);
  return max + Math.log(sum);
}

/** Log-probability of `token`, nats. */
export function logProbability(logits: ArrayLike<number>, token: number): number {
  return (logits[token] ?? -Infinity) - logSumExp(logits);
}

/** KL(golden || measured) of the two softmaxes, nats; never below 0. */
export function klDivergence(golden: ArrayLike<number>, measured: ArrayLike<number>): number {
  const goldenNorm = logSumExp(golden);
  const measuredNorm = logSumExp(measured);
  let sum = 0;
  for (let i = 0; i < golden.length; i++) {
    const want = (golden[i] ?? -Infinity) - goldenNorm;
    const got = (measured[i] ?? -Infinity) - measuredNorm;
    sum += Math.exp(want) * (want - got);
  }
  return Number.isNaN(sum) ? Infinity : Math.max(0, sum);
}

/** Index of the largest, the first on ties. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if ((values[i] ?? -Infinity) > (values[best] ?? -Infinity)) best = i;
  }
  return best;
}

/** Largest distance in units in the last place of f32; NaN equals NaN, -0 equals 0. */
export function maxUlp(measured: Float32Array, golden: Float32Array): number {
  if (measured.length !== golden.length) return Infinity;
  const a = orderedBits(measured);
  const b = orderedBits(golden);
  let max = 0;
  for (let i = 0; i < golden.length; i++) {
    const isNan = [Number.isNaN(measured[i]), Number.isNaN(golden[i])];
    if (isNan[0] === true && isNan[1] === true) continue;
    if (isNan[0] === true || isNan[1] === true) return Infinity;
    max = Math.max(max, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  }
  return max;
}

/** Integers in the order of the floats, neighbours one apart, both zeros 0. */
function orderedBits(values: Float32Array): Float64Array {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  return Float64Array.from(bits, (bit) => (bit < 0 ? -(bit & 0x7fffffff) : bit));
}

export interface GreedyComparison {
  /** Steps that could be compared: those before the first close call, and up to a difference. */
  readonly nCompared: number;
  /** The first step that differs, undefined when none does. */
  readonly differsAt: number | undefined;
}

/**
 * Compares greedy tokens up to the first golden step whose margin (best minus second logit) is
 * below `minMargin`: there rounding alone may choose, and all later steps follow from the choice.
 */
export function compareGreedy(
  tokens: ArrayLike<number>,
  golden: { readonly tokens: readonly number[]; readonly margins: readonly number[] },
  minMargin: number,
): GreedyComparison {
  for (const [step, token] of golden.tokens.entries()) {
    if ((golden.margins[step] ?? 0) < minMargin) return { nCompared: step, differsAt: undefined };
    if (tokens[step] !== token) return { nCompared: step + 1, differsAt: step };
  }
  return { nCompared: golden.tokens.length, differsAt: undefined };
}

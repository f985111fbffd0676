export type Better = "higher" | "lower";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** Noise only ever slows down, so the best round is the nearest to what the code can do. */
export function best(values: readonly number[], better: Better): number {
  if (values.length === 0) return NaN;
  return better === "higher" ? Math.max(...values) : Math.min(...values);
}

export interface Summary {
  readonly best: number;
  readonly median: number;
  readonly nRounds: number;
}

export function summarize(values: readonly number[], better: Better): Summary {
  return { best: best(values, better), median: median(values), nRounds: values.length };
}

export interface RatioSummary {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly nRounds: number;
}

/** ours / theirs of the same round: what slows a whole round down cancels out. */
export function ratios(
  ours: ReadonlyMap<number, number>,
  theirs: ReadonlyMap<number, number>,
): RatioSummary {
  const values: number[] = [];
  for (const [round, value] of ours) {
    const other = theirs.get(round);
    if (other !== undefined && other > 0) values.push(value / other);
  }
  return {
    min: best(values, "lower"),
    median: median(values),
    max: best(values, "higher"),
    nRounds: values.length,
  };
}

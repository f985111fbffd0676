// The statistics kernels by plain loops in f64: what unit tests run methods on.
import type { StatsKernels } from "../../src/compression/stats-kernels.ts";

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
const norm = (a: readonly number[]): number => Math.sqrt(dot(a, a));

function rowsOf(cells: Float32Array, nRows: number): number[][] {
  const width = nRows === 0 ? 0 : cells.length / nRows;
  return Array.from({ length: nRows }, (_, row) => [
    ...cells.subarray(row * width, (row + 1) * width),
  ]);
}

function softmax(logits: readonly number[]): number[] {
  const max = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Scores of the rows of a partition by the ranges of the next. */
function partitionScores(rows: readonly number[][], next: readonly number[][]): number[] {
  return softmax(
    rows.map((row) => {
      const x = row.map((value, c) => {
        const channel = next.map((other) => other[c] as number);
        const low = Math.min(...channel);
        return (value - low) / Math.max(Math.max(...channel) - low, 1e-6);
      });
      const mean = x.reduce((a, b) => a + b, 0) / x.length;
      const squares = x.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      return Math.sqrt(squares / Math.max(1, x.length - 1));
    }),
  );
}

export const naiveStats: StatsKernels = {
  rowNorms: (rows, nRows) => Float32Array.from(rowsOf(rows, nRows), norm),

  keyDiff(keys, nRows) {
    const rows = rowsOf(keys, nRows);
    const anchor = (rows[0] ?? []).map((_, c) =>
      rows.reduce((sum, row) => sum + (row[c] as number) / Math.max(norm(row), 1e-8), 0),
    );
    return Float32Array.from(
      rows,
      (row) => -dot(row, anchor) / Math.max(norm(row), 1e-8) / Math.max(norm(anchor), 1e-8),
    );
  },

  lag(keys, values, nRows, { nSink, lagSize, by }) {
    const nPartitions = Math.floor(Math.max(0, nRows - nSink) / lagSize);
    if (nPartitions < 2) {
      const nScored = nRows - nSink;
      const scores = Float32Array.from({ length: nRows }, (_, row) =>
        row < nSink ? 1 : (row - nSink) / nScored,
      );
      return { scores, nTail: 0 };
    }
    const scores = new Float32Array(nRows).fill(1);
    const [allKeys, allValues] = [rowsOf(keys, nRows), rowsOf(values, nRows)];
    for (let begin = nSink; begin + 2 * lagSize <= nRows; begin += lagSize) {
      const of = (rows: readonly number[][]) =>
        partitionScores(
          rows.slice(begin, begin + lagSize),
          rows.slice(begin + lagSize, begin + 2 * lagSize),
        );
      const ofValues = of(allValues);
      const mean = Float32Array.from(of(allKeys), (x, i) => (x + (ofValues[i] as number)) / 2);
      const ranks = [...mean.keys()].sort(
        (a, b) => (mean[a] as number) - (mean[b] as number) || b - a,
      );
      scores.set(mean, begin);
      if (by === "rank") ranks.forEach((row, rank) => (scores[begin + row] = rank / lagSize));
    }
    return { scores, nTail: nRows - nSink - (nPartitions - 1) * lagSize };
  },

  expectedAttention(keys, nRows, queries) {
    const { mean, covariance, rope, ropeStyle, firstPosition, nFuture, scale } = queries;
    const d = nRows === 0 ? 1 : keys.length / nRows;
    const nGroups = mean.length / d;
    // The mean rotation, one matrix, position by position.
    const rotation = Array.from({ length: d }, () => new Array<number>(d).fill(0));
    for (let pair = 0; pair < d / 2; pair++) {
      const [a, b] = ropeStyle === "half" ? [pair, pair + d / 2] : [2 * pair, 2 * pair + 1];
      const frequency = rope.base ** ((-2 * pair) / d) / (rope.scale ?? 1);
      const angle = Math.fround(frequency / (rope.factors?.[pair] ?? 1));
      let [re, im] = [0, 0];
      for (let i = 0; i < nFuture; i++) {
        re += Math.cos(angle * (firstPosition + i)) / nFuture;
        im += Math.sin(angle * (firstPosition + i)) / nFuture;
      }
      const [top, bottom] = [rotation[a] as number[], rotation[b] as number[]];
      [top[a], top[b], bottom[a], bottom[b]] = [re, -im, im, re];
    }
    const apply = (x: readonly number[]) => rotation.map((row) => dot(row, x));
    const scores = new Float32Array(nRows);
    for (let group = 0; group < nGroups; group++) {
      const turned = apply([...mean.subarray(group * d, (group + 1) * d)]);
      const spread = covariance?.subarray(group * d * d, (group + 1) * d * d);
      // k (R S R') k = (R' k) S (R' k).
      const logits = rowsOf(keys, nRows).map((key) => {
        const back = rotation.map((_, c) =>
          dot(
            rotation.map((row) => row[c] as number),
            key,
          ),
        );
        const ofSpread = spread
          ? dot(
              back.map((_, i) => dot([...spread.subarray(i * d, (i + 1) * d)], back)),
              back,
            )
          : 0;
        return scale * dot(turned, key) + ((scale * scale) / 2) * ofSpread;
      });
      softmax(logits).forEach((x, row) => (scores[row] = (scores[row] as number) + x / nGroups));
    }
    return scores;
  },

  weigh: (scores, weights, epsilon) =>
    scores.map((score, i) => (score + epsilon) * (weights[i] as number)),
};

// The arithmetic of the reference engine over plain arrays: one obvious loop per op. Reductions run
// in f64 and round once, so that other engines are measured against something better than they are.
import type { Activation, RopeFrequencies, RopeShape } from "../engine.ts";
import { roundHalfEven } from "./half.ts";

/** out = x / sqrt(mean(x^2) + eps) * weight; all f32[size]; `out` may be `x`. */
export function rmsNorm(
  out: Float32Array,
  x: Float32Array,
  weight: Float32Array,
  eps: number,
): void {
  const factor = 1 / Math.sqrt(dot(x, 0, x, 0, x.length) / x.length + eps);
  for (let i = 0; i < x.length; i++) out[i] = x[i]! * factor * weight[i]!;
}

/** Sum of a[aOffset + i] * b[bOffset + i], i < n; four partial sums, whatever `n` is. */
export function dot(
  a: Float32Array,
  aOffset: number,
  b: Float32Array,
  bOffset: number,
  n: number,
): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const nWhole = n - (n % 4);
  for (let i = 0; i < nWhole; i += 4) {
    s0 += a[aOffset + i]! * b[bOffset + i]!;
    s1 += a[aOffset + i + 1]! * b[bOffset + i + 1]!;
    s2 += a[aOffset + i + 2]! * b[bOffset + i + 2]!;
    s3 += a[aOffset + i + 3]! * b[bOffset + i + 3]!;
  }
  for (let i = nWhole; i < n; i++) s0 += a[aOffset + i]! * b[bOffset + i]!;
  return s0 + s1 + (s2 + s3);
}

/**
 * out[t, outOffset + r] = weight[r] . x[t] + bias[r] for rows of `outStride` elements;
 * weight f32[nRows, nCols], x f32[nTokens, nCols].
 */
export function matMul(
  out: Float32Array,
  outOffset: number,
  outStride: number,
  weight: Float32Array,
  x: Float32Array,
  nTokens: number,
  nCols: number,
  bias?: Float32Array,
): void {
  const nRows = weight.length / nCols;
  for (let row = 0; row < nRows; row++) {
    for (let token = 0; token < nTokens; token++) {
      const sum = dot(weight, row * nCols, x, token * nCols, nCols);
      out[token * outStride + outOffset + row] = sum + (bias ? bias[row]! : 0);
    }
  }
}

/**
 * What is left of x f32[n] in int8 per block of 32: round(x / scale) * scale, ties to even,
 * scale = f32(max |x| / 127).
 */
export function quantizeActivations(x: Float32Array): Float32Array {
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += 32) {
    const block = x.subarray(start, start + 32);
    const scale = Math.fround(block.reduce((max, v) => Math.max(max, Math.abs(v)), 0) / 127);
    if (scale === 0) continue;
    block.forEach((value, i) => {
      const level = Math.min(127, roundHalfEven(Math.abs(value) / scale));
      out[start + i] = Math.sign(value) * level * scale;
    });
  }
  return out;
}

/** gate = activation(gate) * up, element by element. */
export function activate(gate: Float32Array, up: Float32Array, activation: Activation): void {
  const f = activation === "silu" ? silu : geluTanh;
  for (let i = 0; i < gate.length; i++) gate[i] = f(gate[i]!) * up[i]!;
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}

/** out f32[nTokens, headDim]: cos, sin pairs. The frequencies are f32, the angles f64. */
export function ropeTable(
  out: Float32Array,
  frequencies: RopeFrequencies,
  firstPosition: number,
  nTokens: number,
): void {
  const { headDim } = frequencies;
  for (const [i, frequency] of frequenciesOf(frequencies).entries()) {
    for (let token = 0; token < nTokens; token++) {
      const angle = (firstPosition + token) * frequency;
      out[token * headDim + 2 * i] = Math.cos(angle);
      out[token * headDim + 2 * i + 1] = Math.sin(angle);
    }
  }
}

/** f32[headDim / 2], radians a position. */
export function frequenciesOf({
  base,
  headDim,
  scale = 1,
  factors,
}: RopeFrequencies): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const plain = Math.fround(base ** ((-2 * i) / headDim));
    const scaled = Math.fround(plain / Math.fround(scale));
    return scaled / (factors ? factors[i]! : 1);
  });
}

/** Rotates one head f32[headDim] in place by `table` f32[headDim]. */
export function rotate(
  head: Float32Array,
  table: Float32Array,
  ropeStyle: RopeShape["ropeStyle"],
): void {
  const half = head.length / 2;
  for (let i = 0; i < half; i++) {
    const [a, b] = ropeStyle === "half" ? [i, i + half] : [2 * i, 2 * i + 1];
    const [x, y] = [head[a]!, head[b]!];
    const [cos, sin] = [table[2 * i]!, table[2 * i + 1]!];
    head[a] = x * cos - y * sin;
    head[b] = x * sin + y * cos;
  }
}

/** The rows that one query may look at, and how. */
export interface Sight {
  /** Rows 0 .. nVisible, less those out of the window. May be 0 or less: then nothing is seen. */
  readonly nVisible: number;
  readonly queryPosition: number;
  readonly positions: Uint32Array;
  readonly window: number;
  readonly scale: number;
}

/** softmax(scale q.k) over the rows of `keys` f32[nRows, headDim] that are seen, 0 elsewhere. */
export function attentionWeights(
  query: Float32Array,
  keys: Float32Array,
  { nVisible, queryPosition, positions, window, scale }: Sight,
): Float64Array {
  const headDim = query.length;
  const weights = new Float64Array(positions.length);
  const seen: number[] = [];
  for (let row = 0; row < nVisible; row++) {
    if (window === 0 || queryPosition - positions[row]! < window) seen.push(row);
  }
  const scores = seen.map((row) => dot(query, 0, keys, row * headDim, headDim) * scale);
  const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const exps = scores.map((score) => Math.exp(score - max));
  const sum = exps.reduce((a, b) => a + b, 0);
  seen.forEach((row, i) => (weights[row] = exps[i]! / sum));
  return weights;
}

/** Index of the largest of `values`, the first on ties. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

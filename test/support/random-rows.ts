// Random layers of cached rows: ragged heads, gaps in the positions, NaN where nobody wrote.
import type { CodecName, HeadShape } from "../../src/engine/engine.ts";
import type { HostRows } from "../contract/rig.ts";
import { decodeRows, encodeRows } from "./random-blocks.ts";
import type { Rng } from "./rng.ts";

export interface RowsOptions {
  readonly codec: CodecName;
  readonly shape: HeadShape;
  /** Rows of each kv head, the newest `nNew` included. */
  readonly lengths: readonly number[];
  /** The newest rows of every head have the positions `nextPosition - nNew ..`. */
  readonly nNew: number;
  readonly nextPosition: number;
  /** Rows that each head may still take. Default 3. */
  readonly nSpare?: number;
  /** Standard deviation of keys and values. Default 1. */
  readonly deviation?: number;
}

/** Keys and values that the codec holds exactly; positions ascend, with gaps among the older rows. */
export function randomRows(rng: Rng, options: RowsOptions): HostRows {
  const { codec, shape, lengths, nNew, nextPosition, nSpare = 3, deviation = 1 } = options;
  const { headDim } = shape;
  // Heads differ in spare room too, so that no head starts where a uniform layout would put it.
  const capacity = lengths.map((length, head) => length + nSpare + head);
  const nRows = capacity.reduce((a, b) => a + b, 0);
  const keys = new Float32Array(nRows * headDim).fill(NaN);
  const values = new Float32Array(nRows * headDim).fill(NaN);
  const positions = new Uint32Array(nRows).fill(0xffffffff);
  let start = 0;
  lengths.forEach((length, head) => {
    const n = length * headDim;
    keys.set(asStored(codec, rng.normals(n, deviation), headDim), start * headDim);
    values.set(asStored(codec, rng.normals(n, deviation), headDim), start * headDim);
    const nOld = Math.max(0, length - nNew);
    positions.set(rng.subset(nextPosition - nNew, nOld), start);
    for (let row = nOld; row < length; row++) {
      positions[start + row] = nextPosition - length + row;
    }
    start += capacity[head] ?? 0;
  });
  return { codec, headDim, length: lengths, capacity, keys, values, positions };
}

/** The rows of one head; keys and values f32[length, headDim]. */
export function hostHead(
  { headDim, length, capacity, keys, values, positions }: HostRows,
  head: number,
): { keys: Float32Array; values: Float32Array; positions: Uint32Array } {
  const start = capacity.slice(0, head).reduce((a, b) => a + b, 0);
  const end = start + (length[head] ?? 0);
  return {
    keys: keys.subarray(start * headDim, end * headDim),
    values: values.subarray(start * headDim, end * headDim),
    positions: positions.subarray(start, end),
  };
}

function asStored(codec: CodecName, values: Float32Array, headDim: number): Float32Array {
  return decodeRows(codec, encodeRows(codec, values, headDim), headDim);
}

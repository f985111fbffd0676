// Sizes and offsets of cached rows: the only place that computes addresses. It knows no engine.
import type { CodecName } from "../engine/engine.ts";
import { f16 } from "./codecs/f16.ts";
import { f32 } from "./codecs/f32.ts";
import { q8 } from "./codecs/q8.ts";

/** How a row is stored, in bytes. The bits themselves are the engine's matter. */
export interface RowCodec {
  readonly name: CodecName;
  /** The codec of the rows that prefill appends and methods score, before they are encoded. */
  readonly staging: CodecName;
  /** Bytes of one key row, and of one value row. */
  rowBytes(headDim: number): number;
  /** Bytes of one head beside its rows (scales, zero points, tails), for `nRows` rows. */
  extraBytes(headDim: number, nRows: number): number;
}

export const codecs: Readonly<Record<CodecName, RowCodec>> = { f32, f16, q8 };

/** A position is a u32. */
export const POSITION_BYTES = 4;

/** Capacity that may lie idle in a layer before buffers are made smaller, rows. */
export const PAGE_ROWS = 64;

/** Bytes of one row of one head: key, value and position. */
export function rowByteLength(codec: CodecName, headDim: number): number {
  return 2 * codecs[codec].rowBytes(headDim) + POSITION_BYTES;
}

/** Fills `start` so that heads of `capacity` rows follow each other; returns the rows in all. */
export function layOutHeads(start: Uint32Array, capacity: Uint32Array): number {
  let nRows = 0;
  for (let head = 0; head < capacity.length; head++) {
    start[head] = nRows;
    nRows += capacity[head] ?? 0;
  }
  return nRows;
}

// Cached rows of the reference engine: decoding, appending, gathering.
import { assert, KvasirError } from "../../errors.ts";
import type { EngineBuffer, LayerRows } from "../engine.ts";
import { own } from "./buffers.ts";
import { decodeHalf, encodeHalf } from "./half.ts";

/** f32[nRows, headDim] of `buffer` (keys or values), a copy. `row` counts over all heads. */
export function readRows(
  rows: LayerRows,
  buffer: EngineBuffer,
  row: number,
  nRows: number,
): Float32Array {
  const [start, n] = [row * rows.headDim, nRows * rows.headDim];
  if (rows.codec === "f32") return own(buffer).f32(n, start).slice();
  return Float32Array.from(own(buffer).u16(n, start), decodeHalf);
}

/** Stores f32[n headDim] from `row` upwards. */
export function writeRows(
  rows: LayerRows,
  buffer: EngineBuffer,
  row: number,
  values: Float32Array,
): void {
  const start = row * rows.headDim;
  if (rows.codec === "f32") own(buffer).f32(values.length, start).set(values);
  else own(buffer).u16(values.length, start).set(Uint16Array.from(values, encodeFinite));
}

/** One infinite key would make every score NaN: what f16 cannot hold becomes its largest. */
function encodeFinite(value: number): number {
  return encodeHalf(Math.max(-65504, Math.min(65504, value)));
}

/** The rows of one head, decoded. */
export function readHead(
  rows: LayerRows,
  head: number,
): { keys: Float32Array; values: Float32Array; positions: Uint32Array } {
  const [start, length] = [rows.start[head]!, rows.length[head]!];
  return {
    keys: readRows(rows, rows.keys, start, length),
    values: readRows(rows, rows.values, start, length),
    positions: own(rows.positions).u32(length, start),
  };
}

/** Throws unless every head has room for `nTokens` more rows. */
export function checkRoom(rows: LayerRows, nTokens: number): void {
  rows.length.forEach((length, head) => {
    const capacity = rows.capacity[head]!;
    if (length + nTokens > capacity) {
      throw new KvasirError(
        "cache-full",
        `Cannot append rows: head ${head} holds ${length} rows, capacity is ${capacity}, ` +
          `got ${nTokens} rows`,
      );
    }
  });
}

/** Appends one row to one head, without advancing its length. */
export function writeRow(
  rows: LayerRows,
  head: number,
  row: number,
  key: Float32Array,
  value: Float32Array,
  position: number,
): void {
  const target = rows.start[head]! + row;
  writeRows(rows, rows.keys, target, key);
  writeRows(rows, rows.values, target, value);
  own(rows.positions).u32(1, target)[0] = position;
}

/** Everything is read before anything is written, so that no aliasing of `dst` can matter. */
export function gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
  assert(keep.length === src.nKvHeads && keep.length === dst.nKvHeads, "one keep list per kv head");
  assert(src.headDim === dst.headDim, "gathered rows are of one size");
  const kept = keep.map((list, head) => {
    const [length, capacity] = [src.length[head]!, dst.capacity[head]!];
    assert(list.length <= capacity, `head ${head} keeps ${list.length} rows of ${capacity}`);
    return Array.from(list, (row, i) => {
      assert(row < length, `head ${head} keeps row ${row} of ${length}`);
      assert(i === 0 || row > list[i - 1]!, `head ${head} keeps rows that do not ascend`);
      const source = src.start[head]! + row;
      return {
        key: readRows(src, src.keys, source, 1),
        value: readRows(src, src.values, source, 1),
        position: own(src.positions).u32(1, source)[0]!,
      };
    });
  });
  kept.forEach((list, head) => {
    list.forEach(({ key, value, position }, row) => writeRow(dst, head, row, key, value, position));
    dst.length[head] = list.length;
  });
}

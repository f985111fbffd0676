// Cached rows of the reference engine: decoding, appending, gathering.
import { assert, KvasirError } from "../../errors.ts";
import { codecs } from "../../cache/layout.ts";
import type { CodecName, EngineBuffer, LayerRows } from "../engine.ts";
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
  if (rows.codec === "q8") return decodeBytes(rows, buffer, row, nRows);
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
  if (rows.codec === "q8") encodeBytes(rows, buffer, row, values);
  else if (rows.codec === "f32") own(buffer).f32(values.length, start).set(values);
  else own(buffer).u16(values.length, start).set(Uint16Array.from(values, encodeFinite));
}

/** One infinite key would make every score NaN: what f16 cannot hold becomes its largest. */
function encodeFinite(value: number): number {
  return encodeHalf(Math.max(-65504, Math.min(65504, value)));
}

/** A row whose largest is below it is a row of zeros: its scale would have no bits left. */
const SMALLEST = Math.fround(1e-35);
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** int8 codes and an f32 scale per row; factor, products and scale are rounded to f32. */
function encodeBytes(
  { headDim }: LayerRows,
  buffer: EngineBuffer,
  row: number,
  values: Float32Array,
): void {
  const bytes = own(buffer).bytes(row * (headDim + 4), (values.length / headDim) * (headDim + 4));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0, i = 0; i < values.length; at += headDim + 4, i += headDim) {
    const x = values.subarray(i, i + headDim);
    const max = Math.min(
      LARGEST,
      x.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
    );
    const factor = max < SMALLEST ? 0 : Math.fround(127 / max);
    x.forEach((value, c) => {
      const product = Math.fround(Math.max(-max, Math.min(max, value)) * factor);
      view.setInt8(at + c, roundEven(product));
    });
    view.setFloat32(at + headDim, max < SMALLEST ? 0 : max / 127, true);
  }
}

function decodeBytes(
  { headDim }: LayerRows,
  buffer: EngineBuffer,
  row: number,
  nRows: number,
): Float32Array {
  const bytes = own(buffer).bytes(row * (headDim + 4), nRows * (headDim + 4));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: nRows * headDim }, (_, i) => {
    const at = Math.floor(i / headDim) * (headDim + 4);
    return view.getInt8(at + (i % headDim)) * view.getFloat32(at + headDim, true);
  });
}

function roundEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
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

/** A row and what is stored for it: rows that keep their codec keep their bytes. */
interface TakenRow {
  readonly codec: CodecName;
  readonly bytes: Uint8Array;
  readonly values: Float32Array;
}

function takeRow(rows: LayerRows, buffer: EngineBuffer, row: number): TakenRow {
  const { codec } = rows;
  const rowBytes = codecs[codec].rowBytes(rows.headDim);
  const bytes = own(buffer)
    .bytes(row * rowBytes, rowBytes)
    .slice();
  return { codec, bytes, values: readRows(rows, buffer, row, 1) };
}

function putRow(rows: LayerRows, buffer: EngineBuffer, row: number, taken: TakenRow): void {
  const { codec, bytes, values } = taken;
  if (codec === rows.codec)
    own(buffer)
      .bytes(row * bytes.length, bytes.length)
      .set(bytes);
  else writeRows(rows, buffer, row, values);
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
        key: takeRow(src, src.keys, source),
        value: takeRow(src, src.values, source),
        position: own(src.positions).u32(1, source)[0]!,
      };
    });
  });
  kept.forEach((list, head) => {
    list.forEach(({ key, value, position }, row) => {
      const target = dst.start[head]! + row;
      putRow(dst, dst.keys, target, key);
      putRow(dst, dst.values, target, value);
      own(dst.positions).u32(1, target)[0] = position;
    });
    dst.length[head] = list.length;
  });
}

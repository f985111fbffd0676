// Random GGUF blocks: every code and scale bit pattern may occur, all values are finite.
import type { CodecName } from "../../src/engine/engine.ts";
import { decodeHalf, encodeHalf } from "../../src/engine/reference/half.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../src/gguf/tensor-type.ts";
import type { Rng } from "./rng.ts";

/** Byte offsets of the f16 fields in a block (ggml-common.h), and what the codes multiply up to. */
const HALF_FIELDS: Partial<Record<TensorTypeName, readonly [offsets: number[], range: number]>> = {
  Q4_0: [[0], 8],
  Q4_1: [[0, 2], 16],
  Q5_0: [[0], 16],
  Q5_1: [[0, 2], 32],
  Q8_0: [[0], 128],
  Q2_K: [[80, 82], 48],
  Q3_K: [[108], 128],
  Q4_K: [[0, 2], 1024],
  Q5_K: [[0, 2], 2048],
  Q6_K: [[208], 4096],
  IQ4_NL: [[0], 128],
  IQ4_XS: [[0], 4096],
};

/** GGUF blocks of a matrix; the values are of the order of 1. */
export function randomBlocks(
  rng: Rng,
  type: TensorTypeName,
  nRows: number,
  nCols: number,
): Uint8Array {
  const fields = HALF_FIELDS[type];
  if (!fields) return randomFloats(rng, type, nRows * nCols);
  const { blockByteLength } = TENSOR_TYPES[type];
  const blocks = rng.bytes(nRows * rowByteLength(TENSOR_TYPES[type], nCols));
  const view = new DataView(blocks.buffer);
  for (let start = 0; start < blocks.length; start += blockByteLength) {
    const [offsets, range] = fields;
    for (const offset of offsets) view.setUint16(start + offset, randomScale(rng, range), true);
  }
  return blocks;
}

/** f16 bits: mostly +-[0.5, 2) / range, sometimes 0, sometimes subnormal. */
function randomScale(rng: Rng, range: number): number {
  const kind = rng.integer(0, 32);
  if (kind === 0) return 0;
  if (kind === 1) return rng.integer(1, 0x400);
  const sign = rng.integer(0, 2) === 0 ? 1 : -1;
  return encodeHalf((sign * rng.uniform(0.5, 2)) / range);
}

function randomFloats(rng: Rng, type: TensorTypeName, n: number): Uint8Array {
  const values = rng.normals(n);
  if (type === "F32") return new Uint8Array(values.buffer);
  const bits = new Uint32Array(values.buffer);
  const codes =
    type === "F16"
      ? Uint16Array.from(values, encodeHalf)
      : Uint16Array.from(bits, (word) => word >>> 16);
  return new Uint8Array(codes.buffer);
}

/** Rows of `headDim` values as the codec stores them. */
export function encodeRows(codec: CodecName, values: Float32Array, headDim: number): Uint8Array {
  if (codec === "q8") return encodeQ8(values, headDim);
  if (codec === "f32") return new Uint8Array(values.slice().buffer);
  return new Uint8Array(Uint16Array.from(values, encodeHalf).buffer);
}

/** The values that `encodeRows` stored. */
export function decodeRows(codec: CodecName, bytes: Uint8Array, headDim: number): Float32Array {
  if (codec === "q8") return decodeQ8(bytes, headDim);
  const copy = bytes.slice().buffer;
  return codec === "f32"
    ? new Float32Array(copy)
    : Float32Array.from(new Uint16Array(copy), decodeHalf);
}

/** Per row int8 codes of the largest, ties to even, then the scale; rows of NaN stay NaN. */
function encodeQ8(values: Float32Array, headDim: number): Uint8Array {
  const rowBytes = headDim + 4;
  const view = new DataView(new ArrayBuffer((values.length / headDim) * rowBytes));
  for (let row = 0; row < values.length / headDim; row++) {
    const x = [...values.subarray(row * headDim, (row + 1) * headDim)];
    const largest = Math.max(...x.map(Math.abs));
    const factor = Math.fround(127 / largest);
    x.forEach((value, i) => {
      const product = Math.fround(value * factor) || 0;
      const near = Math.round(product);
      const isTie = Math.abs(product % 1) === 0.5;
      view.setInt8(row * rowBytes + i, isTie ? 2 * Math.round(product / 2) : near);
    });
    view.setFloat32(row * rowBytes + headDim, largest / 127, true);
  }
  return new Uint8Array(view.buffer);
}

function decodeQ8(bytes: Uint8Array, headDim: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rowBytes = headDim + 4;
  return Float32Array.from({ length: (bytes.length / rowBytes) * headDim }, (_, i) => {
    const at = Math.floor(i / headDim) * rowBytes;
    return view.getInt8(at + (i % headDim)) * view.getFloat32(at + headDim, true);
  });
}

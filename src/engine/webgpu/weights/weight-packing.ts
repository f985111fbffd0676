// GGUF blocks -> rows as weight-layout.ts has them: bits move, no number changes.
import { TENSOR_TYPES, type TensorTypeName } from "../../../gguf/tensor-type.ts";
import { kMinimum, kScale } from "../../../weights/formats/k-scales.ts";
import { GROUP, type RowWords, rowWords, WEIGHT_LAYOUTS } from "./weight-layout.ts";

/** One block on its way into a row. */
interface Place {
  readonly from: Uint8Array;
  /** Of the block's first byte in `from`. */
  at: number;
  readonly to: Uint8Array;
  /** Of the row's first byte in `to`. */
  row: number;
  /** Index of the block in its row. */
  block: number;
  readonly words: RowWords;
}

/** Rows of words from whole rows of blocks. */
export function packRows(type: TensorTypeName, nCols: number, blocks: Uint8Array): Uint8Array {
  const { blockSize, blockByteLength } = TENSOR_TYPES[type];
  const words = rowWords(type, nCols);
  const rowBytes = (nCols / blockSize) * blockByteLength;
  const nRows = blocks.byteLength / rowBytes;
  const to = new Uint8Array(nRows * words.total * 4);
  const pack = PACKERS[type];
  if (pack === null) {
    for (let row = 0; row < nRows; row++) {
      to.set(blocks.subarray(row * rowBytes, (row + 1) * rowBytes), row * words.total * 4);
    }
    return to;
  }
  const place: Place = { from: blocks, at: 0, to, row: 0, block: 0, words };
  for (let row = 0; row < nRows; row++) {
    place.row = row * words.total * 4;
    for (place.block = 0; place.block < nCols / blockSize; place.block++) {
      pack(place);
      place.at += blockByteLength;
    }
  }
  return to;
}

/** `d` alone, or `d` and `m`, at the block's start; then `highBytes` bytes; then codes as they are. */
function packBlock32(type: TensorTypeName): (place: Place) => void {
  const { codeWords, highWords } = WEIGHT_LAYOUTS[type];
  const scaleBytes = type === "Q4_1" || type === "Q5_1" ? 4 : 2;
  const codeBytes = 4 * codeWords;
  const highBytes = 4 * highWords;
  return ({ from, at, to, row, block, words }) => {
    const scale = row + 4 * words.scales + scaleBytes * block;
    for (let i = 0; i < scaleBytes; i++) to[scale + i] = from[at + i]!;
    const codes = row + codeBytes * block;
    const source = at + scaleBytes + highBytes;
    for (let i = 0; i < codeBytes; i++) to[codes + i] = from[source + i]!;
    if (highBytes > 0) {
      const high = row + 4 * words.high + highBytes * block;
      for (let i = 0; i < GROUP; i++) {
        const bit = (from[at + scaleBytes + (i >> 3)]! >> (i & 7)) & 1;
        to[high + (i & 3)]! |= bit << (2 * ((i & 15) >> 2) + (i >> 4));
      }
    }
  };
}

const CODES = new Uint8Array(256);

/** Packs 256 codes of up to 6 bits; the fifth and sixth go to the high plane. */
function putCodes({ to, row, block, words }: Place, highWords: number): void {
  const codes = row + 128 * block;
  const high = row + 4 * (words.high + 8 * highWords * block);
  for (let i = 0; i < 256; i += GROUP) {
    for (let k = 0; k < 16; k++) {
      const [near, far] = [CODES[i + k]!, CODES[i + 16 + k]!];
      to[codes + i / 2 + k] = (near & 15) | ((far & 15) << 4);
      const j = k >> 2;
      if (highWords === 1) {
        to[high + i / 8 + (k & 3)]! |= ((near >> 4) | ((far >> 4) << 1)) << (2 * j);
      } else if (highWords === 2) {
        const byte = high + i / 4 + 4 * (j >> 1) + (k & 3);
        to[byte]! |= ((near >> 4) | ((far >> 4) << 2)) << (4 * (j & 1));
      }
    }
  }
}

/** The word with f16 `d` at byte `d` of the block, and f16 `dmin` behind it where there is one. */
function putSuper({ from, at, to, row, block, words }: Place, d: number, hasMin: boolean): void {
  const target = row + 4 * (words.scales + block);
  for (let i = 0; i < (hasMin ? 4 : 2); i++) to[target + i] = from[at + d + i]!;
}

function putScale({ to, row, block, words }: Place, index: number, n: number, s: number): void {
  to[row + 4 * words.bytes + n * block + index] = s;
}

function putMinimum({ to, row, block, words }: Place, index: number, n: number, m: number): void {
  to[row + 4 * words.minima + n * block + index] = m;
}

// The fields of the blocks are those of src/weights/formats/<type>.ts.

function packQ2K(place: Place): void {
  const { from, at } = place;
  for (let i = 0; i < 256; i++) {
    CODES[i] = (from[at + 16 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
  }
  putCodes(place, 0);
  putSuper(place, 80, true);
  for (let group = 0; group < 16; group++) {
    putScale(place, group, 16, from[at + group]! & 15);
    putMinimum(place, group, 16, from[at + group]! >> 4);
  }
}

function packQ3K(place: Place): void {
  const { from, at } = place;
  for (let i = 0; i < 256; i++) {
    const low = (from[at + 32 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
    CODES[i] = low | (((from[at + (i & 31)]! >> (i >> 5)) & 1) << 2);
  }
  putCodes(place, 0);
  putSuper(place, 108, false);
  for (let group = 0; group < 16; group++) {
    const low = (from[at + 96 + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15;
    const high = (from[at + 104 + (group & 3)]! >> (2 * (group >> 2))) & 3;
    putScale(place, group, 16, (low | (high << 4)) - 32);
  }
}

function packQ4K(place: Place): void {
  const { from, at } = place;
  for (let i = 0; i < 256; i++) {
    CODES[i] = (from[at + 16 + 32 * (i >> 6) + (i & 31)]! >> (4 * ((i >> 5) & 1))) & 15;
  }
  putCodes(place, 0);
  putKScales(place);
}

function packQ5K(place: Place): void {
  const { from, at } = place;
  for (let i = 0; i < 256; i++) {
    const low = (from[at + 48 + 32 * (i >> 6) + (i & 31)]! >> (4 * ((i >> 5) & 1))) & 15;
    CODES[i] = low | (((from[at + 16 + (i & 31)]! >> (i >> 5)) & 1) << 4);
  }
  putCodes(place, 1);
  putKScales(place);
}

function putKScales(place: Place): void {
  const { from, at } = place;
  putSuper(place, 0, true);
  for (let group = 0; group < 8; group++) {
    putScale(place, group, 8, kScale(from, at + 4, group));
    putMinimum(place, group, 8, kMinimum(from, at + 4, group));
  }
}

function packQ6K(place: Place): void {
  const { from, at } = place;
  for (let i = 0; i < 256; i++) {
    const low = (from[at + 64 * (i >> 7) + (i & 63)]! >> ((i >> 4) & 4)) & 15;
    const high = (from[at + 128 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
    CODES[i] = low | (high << 4);
  }
  putCodes(place, 2);
  putSuper(place, 208, false);
  for (let group = 0; group < 16; group++) putScale(place, group, 16, from[at + 192 + group]!);
}

function packIq4Xs(place: Place): void {
  const { from, at, to, row, block } = place;
  for (let i = 0; i < 128; i++) to[row + 128 * block + i] = from[at + 8 + i]!;
  putSuper(place, 0, false);
  for (let group = 0; group < 8; group++) {
    const low = (from[at + 4 + (group >> 1)]! >> (4 * (group & 1))) & 15;
    const high = (from[at + 2 + (group >> 2)]! >> (2 * (group & 3))) & 3;
    putScale(place, group, 8, (low | (high << 4)) - 32);
  }
}

/** null: the bytes of a row as they are. */
const PACKERS: Readonly<Record<TensorTypeName, ((place: Place) => void) | null>> = {
  F32: null,
  F16: null,
  BF16: null,
  Q4_0: packBlock32("Q4_0"),
  Q4_1: packBlock32("Q4_1"),
  Q5_0: packBlock32("Q5_0"),
  Q5_1: packBlock32("Q5_1"),
  Q8_0: packBlock32("Q8_0"),
  Q2_K: packQ2K,
  Q3_K: packQ3K,
  Q4_K: packQ4K,
  Q5_K: packQ5K,
  Q6_K: packQ6K,
  IQ4_NL: packBlock32("IQ4_NL"),
  IQ4_XS: packIq4Xs,
};

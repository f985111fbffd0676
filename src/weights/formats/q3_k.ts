import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 110;
const QUANTS = 32;
const SCALES = 96;
const D = 108;

/**
 * Q3_K: 256 weights in 16 groups of 16, w = (d (s - 32)) (q - 4).
 *
 * | byte     | field | content                                                                 |
 * | -------- | ----- | ----------------------------------------------------------------------- |
 * | 0..32    | qh    | bit 4h + k of byte i is bit 2 of q of weight 128 h + 32 k + i           |
 * | 32..96   | ql    | u2[256], bits 0..2: weight 128 h + 32 k + i in bits 2k of byte 32 h + i |
 * | 96..104  | sl    | bits 0..4 of s: group g low in byte g, group g + 8 high                 |
 * | 104..108 | sh    | bits 4..6 of s: group g in bits 2 (g / 4) of byte g % 4                 |
 * | 108..110 | d     | f16                                                                     |
 */
export function dequantizeQ3_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 256) {
    const d = readF16(blocks, at + D);
    for (let group = 0; group < 16; group++) {
      const scale = Math.fround(d * (groupScale(blocks, at + SCALES, group) - 32));
      const shift = group & 6;
      const half = group >> 3;
      const column = 16 * (group & 1);
      const highBit = group >> 1; // 4h + k
      for (let i = 0; i < 16; i++) {
        const low = ((blocks[at + QUANTS + 32 * half + column + i] as number) >> shift) & 3;
        const high = ((blocks[at + column + i] as number) >> highBit) & 1;
        out[to + 16 * group + i] = scale * ((low | (high << 2)) - 4);
      }
    }
  }
}

function groupScale(blocks: Uint8Array, at: number, group: number): number {
  const low = ((blocks[at + (group & 7)] as number) >> (group < 8 ? 0 : 4)) & 15;
  const high = ((blocks[at + 8 + (group & 3)] as number) >> (2 * (group >> 2))) & 3;
  return low | (high << 4);
}

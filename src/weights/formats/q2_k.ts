import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 84;
const QUANTS = 16;
const D = 80;

/**
 * Q2_K: 256 weights in 16 groups of 16, w = (d s) q - (dmin m).
 *
 * | byte   | field | content                                                        |
 * | ------ | ----- | -------------------------------------------------------------- |
 * | 0..16  | s, m  | u8[16]: group g's scale in bits 0..4, its minimum in bits 4..8 |
 * | 16..80 | q     | u2[256]: weight 128 h + 32 k + i in bits 2k of byte 32 h + i   |
 * | 80..82 | d     | f16                                                            |
 * | 82..84 | dmin  | f16                                                            |
 */
export function dequantizeQ2_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 256) {
    const d = readF16(blocks, at + D);
    const dMin = readF16(blocks, at + D + 2);
    for (let group = 0; group < 16; group++) {
      const packed = blocks[at + group] as number;
      const scale = Math.fround(d * (packed & 15));
      const minimum = Math.fround(dMin * (packed >> 4));
      const shift = group & 6; // 2k, k = (group % 8) / 2
      const from = at + QUANTS + 32 * (group >> 3) + 16 * (group & 1);
      for (let i = 0; i < 16; i++) {
        const q = ((blocks[from + i] as number) >> shift) & 3;
        out[to + 16 * group + i] = Math.fround(scale * q) - minimum;
      }
    }
  }
}

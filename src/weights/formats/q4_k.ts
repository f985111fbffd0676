import { readF16 } from "./floats.ts";
import { kMinimum, kScale } from "./k-scales.ts";

const BLOCK_BYTES = 144;
const SCALES = 4;
const QUANTS = 16;

/**
 * Q4_K: 256 weights in 8 groups of 32, w = (d s) q - (dmin m).
 *
 * | byte    | field | content                                                           |
 * | ------- | ----- | ----------------------------------------------------------------- |
 * | 0..2    | d     | f16                                                               |
 * | 2..4    | dmin  | f16                                                               |
 * | 4..16   | s, m  | u6[8] each, packed as in k-scales.ts                              |
 * | 16..144 | q     | u4[256]: weight 64 p + i low in byte 32 p + i, 64 p + 32 + i high |
 */
export function dequantizeQ4_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 256) {
    const d = readF16(blocks, at);
    const dMin = readF16(blocks, at + 2);
    for (let group = 0; group < 8; group++) {
      const scale = Math.fround(d * kScale(blocks, at + SCALES, group));
      const minimum = Math.fround(dMin * kMinimum(blocks, at + SCALES, group));
      const from = at + QUANTS + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let i = 0; i < 32; i++) {
        const q = ((blocks[from + i] as number) >> shift) & 15;
        out[to + 32 * group + i] = Math.fround(scale * q) - minimum;
      }
    }
  }
}

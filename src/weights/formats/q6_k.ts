import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 210;
const HIGH = 128;
const SCALES = 192;
const D = 208;

/**
 * Q6_K: 256 weights in 16 groups of 16, w = (d s) (q - 32).
 *
 * | byte     | field | content                                                            |
 * | -------- | ----- | ------------------------------------------------------------------ |
 * | 0..128   | ql    | bits 0..4: weight 128h + i low in byte 64h + i, 128h + 64 + i high |
 * | 128..192 | qh    | bits 4..6: weight 128h + 32k + i in bits 2k of byte 32h + i        |
 * | 192..208 | s     | i8[16]                                                             |
 * | 208..210 | d     | f16                                                                |
 */
export function dequantizeQ6_K(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 256) {
    const d = readF16(blocks, at + D);
    for (let group = 0; group < 16; group++) {
      const scale = Math.fround(d * (((blocks[at + SCALES + group] as number) << 24) >> 24));
      const half = group >> 3;
      const low = at + 64 * half + 16 * (group & 3);
      const lowShift = group & 4; // the second 64 of a half lie in the high nibbles
      const high = at + HIGH + 32 * half + 16 * (group & 1);
      const highShift = group & 6;
      for (let i = 0; i < 16; i++) {
        const q =
          (((blocks[low + i] as number) >> lowShift) & 15) |
          ((((blocks[high + i] as number) >> highShift) & 3) << 4);
        out[to + 16 * group + i] = scale * (q - 32);
      }
    }
  }
}

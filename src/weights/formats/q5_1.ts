import { readF16 } from "./floats.ts";
import { readU32 } from "./k-scales.ts";

const BLOCK_BYTES = 24;

/**
 * Q5_1: 32 weights, w = d q + m.
 *
 * | byte  | field | content                                                |
 * | ----- | ----- | ------------------------------------------------------ |
 * | 0..2  | d     | f16                                                    |
 * | 2..4  | m     | f16                                                    |
 * | 4..8  | qh    | u32: bit i is bit 4 of q of weight i                   |
 * | 8..24 | ql    | u4[32], bits 0..4: weight i low in byte i, i + 16 high |
 */
export function dequantizeQ5_1(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 32) {
    const d = readF16(blocks, at);
    const m = readF16(blocks, at + 2);
    const high = readU32(blocks, at + 4);
    for (let i = 0; i < 16; i++) {
      const byte = blocks[at + 8 + i] as number;
      const q0 = (byte & 15) | (((high >>> i) & 1) << 4);
      const q1 = (byte >> 4) | (((high >>> (i + 16)) & 1) << 4);
      out[to + i] = Math.fround(d * q0) + m;
      out[to + i + 16] = Math.fround(d * q1) + m;
    }
  }
}

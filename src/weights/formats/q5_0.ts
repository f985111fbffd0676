import { readF16 } from "./floats.ts";
import { readU32 } from "./k-scales.ts";

const BLOCK_BYTES = 22;

/**
 * Q5_0: 32 weights, w = d (q - 16).
 *
 * | byte  | field | content                                                |
 * | ----- | ----- | ------------------------------------------------------ |
 * | 0..2  | d     | f16                                                    |
 * | 2..6  | qh    | u32: bit i is bit 4 of q of weight i                   |
 * | 6..22 | ql    | u4[32], bits 0..4: weight i low in byte i, i + 16 high |
 */
export function dequantizeQ5_0(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 32) {
    const d = readF16(blocks, at);
    const high = readU32(blocks, at + 2);
    for (let i = 0; i < 16; i++) {
      const byte = blocks[at + 6 + i] as number;
      out[to + i] = d * (((byte & 15) | (((high >>> i) & 1) << 4)) - 16);
      out[to + i + 16] = d * (((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
    }
  }
}

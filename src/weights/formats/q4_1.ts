import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 20;

/**
 * Q4_1: 32 weights, w = d q + m.
 *
 * | byte  | field | content                                            |
 * | ----- | ----- | -------------------------------------------------- |
 * | 0..2  | d     | f16                                                |
 * | 2..4  | m     | f16                                                |
 * | 4..20 | q     | u4[32]: weight i low in byte i, weight i + 16 high |
 */
export function dequantizeQ4_1(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 32) {
    const d = readF16(blocks, at);
    const m = readF16(blocks, at + 2);
    for (let i = 0; i < 16; i++) {
      const byte = blocks[at + 4 + i] as number;
      out[to + i] = Math.fround(d * (byte & 15)) + m;
      out[to + i + 16] = Math.fround(d * (byte >> 4)) + m;
    }
  }
}

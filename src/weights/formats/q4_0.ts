import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 18;

/**
 * Q4_0: 32 weights, w = d (q - 8).
 *
 * | byte  | field | content                                            |
 * | ----- | ----- | -------------------------------------------------- |
 * | 0..2  | d     | f16                                                |
 * | 2..18 | q     | u4[32]: weight i low in byte i, weight i + 16 high |
 */
export function dequantizeQ4_0(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 32) {
    const d = readF16(blocks, at);
    for (let i = 0; i < 16; i++) {
      const byte = blocks[at + 2 + i] as number;
      out[to + i] = d * ((byte & 15) - 8);
      out[to + i + 16] = d * ((byte >> 4) - 8);
    }
  }
}

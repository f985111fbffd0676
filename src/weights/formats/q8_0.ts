import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 34;

/**
 * Q8_0: 32 weights, w = d q.
 *
 * | byte  | field | content |
 * | ----- | ----- | ------- |
 * | 0..2  | d     | f16     |
 * | 2..34 | q     | i8[32]  |
 */
export function dequantizeQ8_0(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 32) {
    const d = readF16(blocks, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * (((blocks[at + 2 + i] as number) << 24) >> 24);
  }
}

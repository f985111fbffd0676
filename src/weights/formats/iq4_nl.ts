import { readF16 } from "./floats.ts";

const BLOCK_BYTES = 18;

/** The 16 levels of IQ4_NL and IQ4_XS, denser around 0. */
export const IQ4_LEVELS: readonly number[] = [
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/**
 * IQ4_NL: 32 weights, w = d LEVELS[q].
 *
 * | byte  | field | content                                            |
 * | ----- | ----- | -------------------------------------------------- |
 * | 0..2  | d     | f16                                                |
 * | 2..18 | q     | u4[32]: weight i low in byte i, weight i + 16 high |
 */
export function dequantizeIq4Nl(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 32) {
    const d = readF16(blocks, at);
    for (let i = 0; i < 16; i++) {
      const byte = blocks[at + 2 + i] as number;
      out[to + i] = d * (IQ4_LEVELS[byte & 15] as number);
      out[to + i + 16] = d * (IQ4_LEVELS[byte >> 4] as number);
    }
  }
}

import { readF16, readU16 } from "./floats.ts";
import { IQ4_LEVELS } from "./iq4_nl.ts";

const BLOCK_BYTES = 136;
const SCALES_LOW = 4;
const QUANTS = 8;

/**
 * IQ4_XS: 256 weights in 8 groups of 32, w = (d (s - 32)) LEVELS[q].
 *
 * | byte   | field | content                                                       |
 * | ------ | ----- | ------------------------------------------------------------- |
 * | 0..2   | d     | f16                                                           |
 * | 2..4   | sh    | u16: bits 4..6 of group g's s in bits 2g                      |
 * | 4..8   | sl    | bits 0..4 of s: group g in byte g / 2, low when g is even     |
 * | 8..136 | q     | u4[256]: group g's weight i low in byte 16 g + i, i + 16 high |
 */
export function dequantizeIq4Xs(blocks: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += BLOCK_BYTES, to += 256) {
    const d = readF16(blocks, at);
    const scalesHigh = readU16(blocks, at + 2);
    for (let group = 0; group < 8; group++) {
      const low = ((blocks[at + SCALES_LOW + (group >> 1)] as number) >> (4 * (group & 1))) & 15;
      const high = (scalesHigh >> (2 * group)) & 3;
      const scale = Math.fround(d * ((low | (high << 4)) - 32));
      const begin = to + 32 * group;
      for (let i = 0; i < 16; i++) {
        const byte = blocks[at + QUANTS + 16 * group + i] as number;
        out[begin + i] = scale * (IQ4_LEVELS[byte & 15] as number);
        out[begin + i + 16] = scale * (IQ4_LEVELS[byte >> 4] as number);
      }
    }
  }
}

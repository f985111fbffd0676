// The 6-bit scales and minima that Q4_K and Q5_K pack into 12 bytes, 8 of each.
//
// | byte  | bits 0..6                | bits 6..8          |
// |-------|--------------------------|--------------------|
// | 0..4  | scale j                  | scale j + 4, bits 4..6 |
// | 4..8  | minimum j                | minimum j + 4, bits 4..6 |
// | 8..12 | bits 0..4: scale j + 4, bits 4..8: minimum j + 4, each bits 0..4 |

/** Scale `j` (0..8) of the 12 bytes at `at`. */
export function kScale(blocks: Uint8Array, at: number, j: number): number {
  if (j < 4) return (blocks[at + j] as number) & 63;
  return ((blocks[at + j + 4] as number) & 15) | (((blocks[at + j - 4] as number) >> 6) << 4);
}

/** Minimum `j` (0..8) of the 12 bytes at `at`. */
export function kMinimum(blocks: Uint8Array, at: number, j: number): number {
  if (j < 4) return (blocks[at + 4 + j] as number) & 63;
  return ((blocks[at + j + 4] as number) >> 4) | (((blocks[at + j] as number) >> 6) << 4);
}

/** A little-endian u32, as a signed 32-bit number: for its bits only. */
export function readU32(bytes: Uint8Array, byteOffset: number): number {
  return (
    (bytes[byteOffset] as number) |
    ((bytes[byteOffset + 1] as number) << 8) |
    ((bytes[byteOffset + 2] as number) << 16) |
    ((bytes[byteOffset + 3] as number) << 24)
  );
}

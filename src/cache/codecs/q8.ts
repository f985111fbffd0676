import type { RowCodec } from "../layout.ts";

/**
 * A row's channels as int8 and then its scale as f32: x = code * scale, scale = max|x| / 127. Half of
 * f16, and products of integers, which are faster than those of f16.
 *
 * Rows stand for themselves: they are appended, copied, gathered and saved one by one, where tokens
 * interleaved by four would have to be taken apart and put together again.
 */
export const q8: RowCodec = {
  name: "q8",
  staging: "q8",
  rowBytes: (headDim) => headDim + 4,
  extraBytes: () => 0,
};

import type { RowCodec } from "../layout.ts";

/** Rows as they are computed: no loss, for parity with f32 oracles. */
export const f32: RowCodec = {
  name: "f32",
  staging: "f32",
  rowBytes: (headDim) => headDim * 4,
  extraBytes: () => 0,
};

import type { RowCodec } from "../layout.ts";

/** IEEE half precision; two elements per 32-bit word, hence even head dims only. */
export const f16: RowCodec = {
  name: "f16",
  staging: "f16",
  rowBytes: (headDim) => headDim * 2,
  extraBytes: () => 0,
};

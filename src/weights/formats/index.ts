// Blocks of any supported tensor type -> f32, in plain TypeScript: the oracle of the kernels.
//
// Every operation is rounded to f32 in the order of ggml's reference: results are bit-equal to it.
// A product of two f32 values, or a sum of two, computed in f64 and then stored as f32 is rounded
// as if computed in f32; `Math.fround` stands where a product goes on into a sum.
import { TENSOR_TYPES, type TensorTypeName } from "../../gguf/tensor-type.ts";
import { dequantizeBf16, dequantizeF16, dequantizeF32 } from "./floats.ts";
import { dequantizeIq4Nl } from "./iq4_nl.ts";
import { dequantizeIq4Xs } from "./iq4_xs.ts";
import { dequantizeQ2_K } from "./q2_k.ts";
import { dequantizeQ3_K } from "./q3_k.ts";
import { dequantizeQ4_0 } from "./q4_0.ts";
import { dequantizeQ4_1 } from "./q4_1.ts";
import { dequantizeQ4_K } from "./q4_k.ts";
import { dequantizeQ5_0 } from "./q5_0.ts";
import { dequantizeQ5_1 } from "./q5_1.ts";
import { dequantizeQ5_K } from "./q5_k.ts";
import { dequantizeQ6_K } from "./q6_k.ts";
import { dequantizeQ8_0 } from "./q8_0.ts";

/** Fills `out` from as many blocks as it needs. */
export type Dequantize = (blocks: Uint8Array, out: Float32Array) => void;

const BY_TYPE: Readonly<Record<TensorTypeName, Dequantize>> = {
  F32: dequantizeF32,
  F16: dequantizeF16,
  BF16: dequantizeBf16,
  Q4_0: dequantizeQ4_0,
  Q4_1: dequantizeQ4_1,
  Q5_0: dequantizeQ5_0,
  Q5_1: dequantizeQ5_1,
  Q8_0: dequantizeQ8_0,
  Q2_K: dequantizeQ2_K,
  Q3_K: dequantizeQ3_K,
  Q4_K: dequantizeQ4_K,
  Q5_K: dequantizeQ5_K,
  Q6_K: dequantizeQ6_K,
  IQ4_NL: dequantizeIq4Nl,
  IQ4_XS: dequantizeIq4Xs,
};

/**
 * Dequantises whole blocks.
 *
 * @param blocks Any byte alignment; a whole number of blocks of `type`.
 * @param out f32[nBlocks * blockSize], filled and returned; made when not given.
 * @throws {RangeError} When `blocks` or `out` has another length.
 */
export function dequantize(
  type: TensorTypeName,
  blocks: Uint8Array,
  out?: Float32Array,
): Float32Array {
  const { blockSize, blockByteLength } = TENSOR_TYPES[type];
  const nBlocks = blocks.length / blockByteLength;
  if (!Number.isInteger(nBlocks)) {
    throw new RangeError(
      `Cannot dequantize ${type}: ` +
        `the bytes must be a multiple of ${blockByteLength}, got ${blocks.length}`,
    );
  }
  const target = out ?? new Float32Array(nBlocks * blockSize);
  if (target.length !== nBlocks * blockSize) {
    throw new RangeError(
      `Cannot dequantize ${type}: ` +
        `${nBlocks} blocks fill ${nBlocks * blockSize} elements, got ${target.length}`,
    );
  }
  BY_TYPE[type](blocks, target);
  return target;
}

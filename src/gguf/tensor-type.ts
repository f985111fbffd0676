/** Tensor types that kvasir reads, by ggml's names. */
export type TensorTypeName =
  | "F32"
  | "F16"
  | "BF16"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "IQ4_NL"
  | "IQ4_XS";

export interface TensorType {
  readonly name: TensorTypeName;
  /** ggml's number in the file. */
  readonly id: number;
  /** Elements in one block. */
  readonly blockSize: number;
  /** Bytes of one block. */
  readonly blockByteLength: number;
}

const TABLE: readonly (readonly [TensorTypeName, number, number, number])[] = [
  ["F32", 0, 1, 4],
  ["F16", 1, 1, 2],
  ["Q4_0", 2, 32, 18],
  ["Q4_1", 3, 32, 20],
  ["Q5_0", 6, 32, 22],
  ["Q5_1", 7, 32, 24],
  ["Q8_0", 8, 32, 34],
  ["Q2_K", 10, 256, 84],
  ["Q3_K", 11, 256, 110],
  ["Q4_K", 12, 256, 144],
  ["Q5_K", 13, 256, 176],
  ["Q6_K", 14, 256, 210],
  ["IQ4_NL", 20, 32, 18],
  ["IQ4_XS", 23, 256, 136],
  ["BF16", 30, 1, 2],
];

/** Every supported type, by name. */
export const TENSOR_TYPES = Object.fromEntries(
  TABLE.map(([name, id, blockSize, blockByteLength]) => [
    name,
    { name, id, blockSize, blockByteLength },
  ]),
) as Readonly<Record<TensorTypeName, TensorType>>;

const BY_ID = new Map(Object.values(TENSOR_TYPES).map((type) => [type.id, type]));

/** The type with ggml's number `id`, or undefined when kvasir does not read it. */
export function tensorTypeById(id: number): TensorType | undefined {
  return BY_ID.get(id);
}

/** Bytes of one row of `nCols` elements; `nCols` must be a multiple of the block size. */
export function rowByteLength(type: TensorType, nCols: number): number {
  return (nCols / type.blockSize) * type.blockByteLength;
}

/** ggml's types that kvasir does not read, so that a message can name them. */
const UNSUPPORTED_NAMES: Readonly<Record<number, string>> = {
  4: "Q4_2",
  5: "Q4_3",
  9: "Q8_1",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  21: "IQ3_S",
  22: "IQ2_S",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  31: "Q4_0_4_4",
  32: "Q4_0_4_8",
  33: "Q4_0_8_8",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
  40: "NVFP4",
};

/** ggml's name of a type that kvasir does not read, or undefined when ggml knows none either. */
export function unsupportedTypeName(id: number): string | undefined {
  return UNSUPPORTED_NAMES[id];
}

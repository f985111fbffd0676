// How matrices lie on the GPU: whole rows, each of them codes, further bits, scales, in words.
//
// Columns go in groups of 32. `j` in 0..4 is a unit of a group: columns 4j .. 4j + 4 ("near") and
// 16 + 4j .. 16 + 4j + 4 ("far"), the eight weights that a kernel widens at once. See
// shaders/lib/weights/weights.wgsl, which reads what weight-packing.ts writes.
//
// | part   | words of a row         | content                                                      |
// |--------|------------------------|--------------------------------------------------------------|
// | codes  | nGroups codeWords      | 4 bits: word j, near in low nibbles, far in high; 8 bits: near |
// |        |                        | in word j, far in 4 + j; floats: by column                   |
// | high   | nGroups highWords      | 1 bit: byte i has bit 2j of near i, 2j + 1 of far i;         |
// |        |                        | 2 bits: word j / 2, byte i, near from bit 4 (j % 2), far + 2 |
// | scales | see ScaleKind          |                                                              |
// | rest   |                        | up to a multiple of 4 words                                  |
import type { TensorTypeName } from "../../../gguf/tensor-type.ts";
import type { Constants } from "../device/pipelines.ts";

export const GROUP = 32;

/** As CODE_KIND in weights.wgsl. */
const CODE = { unsigned: 0, signed: 1, levels: 2, f32: 3, f16: 4, bf16: 5 } as const;

/**
 * As SCALE_KIND in weights.wgsl:
 * none; half: f16 d for each group, two a word; pair: f16 d and m for each group, one word;
 * bytes: for 256 columns a word with f16 d and dmin, then i8 s and, with minima, i8 m, four a word,
 * for each `scaleSize` columns: w = d s (q - zero) - dmin m.
 */
const SCALE = { none: 0, half: 1, pair: 2, bytes: 3 } as const;

export interface WeightLayout {
  readonly codeKind: number;
  readonly codeWords: number;
  readonly highWords: number;
  readonly scaleKind: number;
  readonly scaleSize: number;
  readonly hasMinima: boolean;
  readonly zero: number;
}

function layout(
  code: keyof typeof CODE,
  codeWords: number,
  scale: keyof typeof SCALE,
  rest: Partial<Pick<WeightLayout, "highWords" | "scaleSize" | "hasMinima" | "zero">> = {},
): WeightLayout {
  const plain = { highWords: 0, scaleSize: GROUP, hasMinima: false, zero: 0 };
  return { codeKind: CODE[code], codeWords, scaleKind: SCALE[scale], ...plain, ...rest };
}

/** Q2_K and Q3_K take 4 bits for each code, more than in the file: one way to read them all. */
export const WEIGHT_LAYOUTS: Readonly<Record<TensorTypeName, WeightLayout>> = {
  F32: layout("f32", 32, "none"),
  F16: layout("f16", 16, "none"),
  BF16: layout("bf16", 16, "none"),
  Q4_0: layout("unsigned", 4, "half", { zero: 8 }),
  Q4_1: layout("unsigned", 4, "pair"),
  Q5_0: layout("unsigned", 4, "half", { highWords: 1, zero: 16 }),
  Q5_1: layout("unsigned", 4, "pair", { highWords: 1 }),
  Q8_0: layout("signed", 8, "half"),
  Q2_K: layout("unsigned", 4, "bytes", { scaleSize: 16, hasMinima: true }),
  Q3_K: layout("unsigned", 4, "bytes", { scaleSize: 16, zero: 4 }),
  Q4_K: layout("unsigned", 4, "bytes", { hasMinima: true }),
  Q5_K: layout("unsigned", 4, "bytes", { highWords: 1, hasMinima: true }),
  Q6_K: layout("unsigned", 4, "bytes", { highWords: 2, scaleSize: 16, zero: 32 }),
  IQ4_NL: layout("levels", 4, "half"),
  IQ4_XS: layout("levels", 4, "bytes"),
};

/** Whether codes are whole numbers that fit a signed byte: what int8 activations can multiply. */
export function hasBytes(type: TensorTypeName): boolean {
  const { codeKind } = WEIGHT_LAYOUTS[type];
  return codeKind === CODE.unsigned || codeKind === CODE.signed;
}

/** Words from the start of a row to its parts, and of the whole row. */
export interface RowWords {
  readonly nGroups: number;
  readonly high: number;
  readonly scales: number;
  /** i8 scales, and minima behind them, of the kind `bytes`. */
  readonly bytes: number;
  readonly minima: number;
  readonly total: number;
}

export function rowWords(type: TensorTypeName, nCols: number): RowWords {
  const { codeWords, highWords, scaleKind, scaleSize, hasMinima } = WEIGHT_LAYOUTS[type];
  const nGroups = Math.ceil(nCols / GROUP);
  const high = nGroups * codeWords;
  const scales = high + nGroups * highWords;
  const nSuper = nGroups / 8;
  const nByteWords = (nSuper * 64) / scaleSize;
  const bytes = scales + nSuper;
  const minima = bytes + nByteWords;
  const ends: Readonly<Record<number, number>> = {
    [SCALE.none]: scales,
    [SCALE.half]: scales + Math.ceil(nGroups / 2),
    [SCALE.pair]: scales + nGroups,
    [SCALE.bytes]: hasMinima ? minima + nByteWords : minima,
  };
  const end = ends[scaleKind] ?? scales;
  return { nGroups, high, scales, bytes, minima, total: Math.ceil(end / 4) * 4 };
}

/** The overrides of weights.wgsl. */
export function weightConstants(type: TensorTypeName): Constants {
  const found = CONSTANTS.get(type);
  if (found !== undefined) return found;
  const { codeKind, codeWords, highWords, scaleKind, scaleSize, hasMinima, zero } =
    WEIGHT_LAYOUTS[type];
  const constants = {
    CODE_KIND: codeKind,
    CODE_WORDS: codeWords,
    HIGH_WORDS: highWords,
    SCALE_KIND: scaleKind,
    SCALE_SIZE: scaleSize,
    HAS_MINIMA: hasMinima ? 1 : 0,
    ZERO: zero,
  };
  CONSTANTS.set(type, constants);
  return constants;
}

const CONSTANTS = new Map<TensorTypeName, Constants>();

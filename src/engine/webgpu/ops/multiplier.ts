// Chooses and records the kernels that multiply tokens by matrices.
import { TENSOR_TYPES } from "../../../gguf/tensor-type.ts";
import type { EngineBuffer, Norm } from "../../engine.ts";
import type { OpContext } from "./op-context.ts";
import type { Kernel } from "../device/pipelines.ts";
import type { Bound } from "../device/recorder.ts";
import { PROJECT_SHADERS } from "./project-shaders.ts";
import { GROUP, hasBytes, weightConstants } from "../weights/weight-layout.ts";
import type { GpuWeight, WeightPart } from "../weights/weights.ts";

/** As MODE in mat_vec.wgsl and mat_mul.wgsl. */
export const MODE = { store: 0, add: 1, silu: 2, "gelu-tanh": 3 } as const;
export type Mode = (typeof MODE)[keyof typeof MODE];

/** Tokens that one mat_vec takes; beyond, tiles pay. */
const MAX_VEC_TOKENS = 8;
const TILE = 64;
const VEC_WORKGROUP = 64;
const MAX_SEGMENTS = 3;
const MAX_WORKGROUPS_PER_DIMENSION = 65_535;
const F32_BYTES = 4;

const SHADERS = {
  f32: {
    tile: PROJECT_SHADERS.matMul,
    plain: PROJECT_SHADERS.matVec,
    biased: PROJECT_SHADERS.matVecBiased,
  },
  q8: {
    tile: PROJECT_SHADERS.matMulQ8,
    plain: PROJECT_SHADERS.matVecQ8,
    biased: PROJECT_SHADERS.matVecQ8Biased,
  },
} as const;

/** Tokens as the kernels take them: rows of whole groups, 16-byte aligned. */
export interface Input {
  readonly x: Bound;
  readonly nTokens: number;
  /** Still to be applied: only where mat_vec does it. */
  readonly norm: { readonly weight: Bound; readonly eps: number } | null;
  /** The same as signed bytes, made where the first product asks for them. */
  codes: Codes | null;
}

/** Normed tokens as quantize.wgsl writes them. */
interface Codes {
  readonly codes: Bound;
  readonly scales: Bound;
}

/** A part of a matrix, and where its rows go. */
export interface Segment {
  readonly weight: GpuWeight;
  readonly part: WeightPart;
  /** Of the output, for the part's first row. */
  readonly column: number;
  readonly bias: EngineBuffer | undefined;
}

/** Where products go: f32[nTokens, stride]. */
export interface Output {
  readonly out: Bound;
  readonly stride: number;
}

export class Multiplier {
  readonly #context: OpContext;
  readonly #kernels = new Map<number, Kernel>();

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** Makes tokens f32[nTokens, nCols] ready to be multiplied. */
  input(x: EngineBuffer, nTokens: number, nCols: number, norm?: Norm): Input {
    const { recorder } = this.#context;
    const from = recorder.bind(x, 0, F32_BYTES * nTokens * nCols);
    const weight = norm && recorder.bind(norm.weight, 0, F32_BYTES * nCols);
    const isWhole = nCols % GROUP === 0 && from.at % 4 === 0;
    if (isWhole && weight === undefined) return { x: from, nTokens, norm: null, codes: null };
    if (isWhole && weight !== undefined && weight.at % 4 === 0 && nTokens <= MAX_VEC_TOKENS) {
      return { x: from, nTokens, norm: { weight, eps: norm?.eps ?? 0 }, codes: null };
    }
    const stride = Math.ceil(nCols / GROUP) * GROUP;
    const to = this.#context.scratch("input", F32_BYTES * nTokens * stride);
    this.norm(to, stride, from, nTokens, nCols, weight && { weight, eps: norm?.eps ?? 0 }, false);
    return { x: to, nTokens, norm: null, codes: null };
  }

  /** out f32[nTokens, stride] = or += norm(x f32[nTokens, nCols]), zeros past nCols. */
  norm(
    out: Bound,
    stride: number,
    x: Bound,
    nTokens: number,
    nCols: number,
    norm: { readonly weight: Bound; readonly eps: number } | undefined,
    isAdded: boolean,
  ): void {
    const { pipelines, recorder } = this.#context;
    const constants = { HAS_NORM: norm === undefined ? 0 : 1, IS_ADDED: isAdded ? 1 : 0 };
    const kernel = pipelines.kernel(PROJECT_SHADERS.rmsNorm, constants);
    const weight = norm?.weight ?? x;
    recorder
      .params()
      .u32(nCols, x.at, weight.at, out.at, stride)
      .f32(norm?.eps ?? 0);
    recorder.dispatch(kernel, [x, weight, out], nTokens);
  }

  /** The products of `segments`, as few dispatches as their types and buffers allow. */
  multiply(input: Input, segments: readonly Segment[], output: Output, mode: Mode): void {
    let run: Segment[] = [];
    for (const segment of segments) {
      const last = run.at(-1);
      if (last !== undefined && !(run.length < MAX_SEGMENTS && isBeside(last, segment))) {
        this.#dispatch(input, run, output, mode);
        run = [];
      }
      run.push(segment);
    }
    if (run.length > 0) this.#dispatch(input, run, output, mode);
  }

  /**
   * The gated product of two matrices in one dispatch.
   * @returns false, and does nothing, where they differ in type or buffer.
   */
  multiplyGated(input: Input, gate: GpuWeight, up: GpuWeight, output: Output, mode: Mode): boolean {
    const [first, second] = [gate.parts[0], up.parts[0]];
    if (first === undefined || second === undefined) return false;
    if (gate.parts.length > 1 || up.parts.length > 1 || first.chunk !== second.chunk) return false;
    if (gate.type !== up.type || gate.nRows !== up.nRows) return false;
    const segments = [
      { weight: gate, part: first, column: 0, bias: undefined },
      { weight: up, part: second, column: 0, bias: undefined },
    ];
    this.#dispatch(input, segments, output, mode);
    return true;
  }

  #dispatch(input: Input, segments: readonly Segment[], output: Output, mode: Mode): void {
    const [first] = segments;
    if (first === undefined) return;
    const { recorder } = this.#context;
    const { words, type } = first.weight;
    const nRowsOf = (s: number): number => segments[s]?.part.nRows ?? 0;
    const wordOf = (s: number): number => (segments[s]?.part.byteOffset ?? 0) / 4;
    const isGated = mode >= MODE.silu;
    const nRows = isGated ? nRowsOf(0) : nRowsOf(0) + nRowsOf(1) + nRowsOf(2);
    const { nTokens } = input;
    const codes = this.#isRounded(type) ? this.#codesOf(input, words.nGroups) : null;
    const norm = codes === null ? input.norm : null;
    const x = codes?.codes ?? input.x;
    const biases = [0, 1, 2].map((s) => this.#bias(segments[s]));
    const biasMask = biases.reduce((mask, bias, s) => mask | (bias === null ? 0 : 1 << s), 0);
    const isVec = nTokens <= MAX_VEC_TOKENS;
    const { laneFactor, tileTokens } = this.#context.gpu.tuning;
    const lanes = lanesFor(words.nGroups, laneFactor);
    const nVecTokens = isVec ? (nTokens === 1 ? 1 : MAX_VEC_TOKENS) : 0;
    const kernel = this.#kernel(type, nVecTokens, isGated, biasMask !== 0);
    const xAt = codes !== null && isVec ? x.at : x.at / 4;
    const tileHeight = codes === null ? tileTokens : TILE;
    const params = recorder.params().u32(words.nGroups, words.total, nRows);
    params.u32(output.out.at + first.column, output.stride, xAt);
    if (isVec) params.u32(codes?.scales.at ?? (norm?.weight.at ?? 0) / 4).f32(norm?.eps ?? 0);
    else params.u32(nTokens, biasMask);
    params.u32(nRowsOf(0), nRowsOf(0) + nRowsOf(1), wordOf(0), wordOf(1), wordOf(2));
    params.u32(...biases.map((bias) => bias?.at ?? 0));
    if (isVec) params.u32(biasMask, mode, norm === null ? 0 : 1, nTokens, lanes);
    else params.u32(mode, codes?.scales.at ?? 0);
    const weights = recorder.bindRange(first.part.chunk.allocation, 0, 0);
    const bound = biases.map((bias) => bias ?? x);
    if (!isVec) {
      const nAcross = Math.ceil(nRows / (isGated ? TILE / 2 : TILE));
      const read = codes === null ? [x] : [x, codes.scales];
      const buffers = [weights, ...read, ...bound, output.out];
      recorder.dispatch(kernel, buffers, nAcross, Math.ceil(nTokens / tileHeight));
      return;
    }
    const nWorkgroups = Math.ceil((nRows * lanes) / VEC_WORKGROUP);
    const nAcross = Math.min(nWorkgroups, MAX_WORKGROUPS_PER_DIMENSION);
    const buffers = [weights, x, codes?.scales ?? norm?.weight ?? x, output.out];
    if (biasMask !== 0) buffers.push(...bound);
    recorder.dispatch(kernel, buffers, nAcross, Math.ceil(nWorkgroups / nAcross));
  }

  #isRounded(type: GpuWeight["type"]): boolean {
    return this.#context.activations === "q8" && hasBytes(type);
  }

  /** The input as signed bytes; once for all products of one operation. */
  #codesOf(input: Input, nGroups: number): Codes {
    if (input.codes !== null) return input.codes;
    const { pipelines, recorder } = this.#context;
    const { x, nTokens, norm } = input;
    const codes = this.#context.scratch("codes", nTokens * nGroups * GROUP);
    const scales = this.#context.scratch("scales of codes", F32_BYTES * nTokens * nGroups);
    const kernel = pipelines.kernel(PROJECT_SHADERS.quantize, { HAS_NORM: norm === null ? 0 : 1 });
    const weight = norm?.weight ?? x;
    const params = recorder.params().u32(nGroups, x.at / 4, weight.at / 4, codes.at, scales.at);
    params.f32(norm?.eps ?? 0);
    recorder.dispatch(kernel, [x, weight, codes, scales], nTokens);
    return (input.codes = { codes, scales });
  }

  #bias(segment: Segment | undefined): Bound | null {
    if (segment?.bias === undefined) return null;
    const { bias, part } = segment;
    return this.#context.recorder.bind(bias, F32_BYTES * part.firstRow, F32_BYTES * part.nRows);
  }

  /** mat_vec for up to `nVecTokens`, mat_mul for 0. */
  #kernel(
    type: GpuWeight["type"],
    nVecTokens: number,
    isGated: boolean,
    isBiased: boolean,
  ): Kernel {
    const flags = (isGated ? 1 : 0) + (isBiased ? 2 : 0);
    const key = (TENSOR_TYPES[type].id * 16 + nVecTokens) * 4 + flags;
    let kernel = this.#kernels.get(key);
    if (kernel === undefined) {
      const isRounded = this.#isRounded(type);
      const { tile, plain, biased } = SHADERS[isRounded ? "q8" : "f32"];
      const shader = nVecTokens === 0 ? tile : isBiased ? biased : plain;
      const { tileTokens } = this.#context.gpu.tuning;
      kernel = this.#context.pipelines.kernel(shader, {
        ...weightConstants(type),
        ...(nVecTokens > 0
          ? { N_TOKENS: nVecTokens }
          : isRounded
            ? {}
            : { TILE_TOKENS: tileTokens }),
        IS_GATED: isGated ? 1 : 0,
      });
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }
}

/** Whether one dispatch can hold both: one buffer, one layout, columns side by side. */
function isBeside(a: Segment, b: Segment): boolean {
  const isOneKind = a.weight.type === b.weight.type && a.part.chunk === b.part.chunk;
  return isOneKind && b.column === a.column + a.part.nRows;
}

/** Invocations for a row: few units for each, so that none waits long for its loads. */
function lanesFor(nGroups: number, factor: number): number {
  const wanted = (factor * 4 * nGroups) / 3;
  return Math.min(VEC_WORKGROUP, Math.max(8, 2 ** Math.ceil(Math.log2(wanted))));
}

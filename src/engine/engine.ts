// The seam between the model and whatever computes. It measures and computes; it decides nothing.
//
// Contract, the same for every implementation (`reference`, `wasm`, `webgpu`) and checked by
// test/contract/engine.contract.ts:
// - Buffers are opaque. Ops run in call order. Nothing is awaited but `read`.
// - An op never allocates memory that outlives it. `out` never aliases an input.
// - Activations are f32, row-major, innermost last. Sizes are given in tokens, heads and rows.
// - Each token's result is independent of how many tokens share the call (chunk sizes do not matter)
//   on `reference` and `wasm`, bit for bit.
// - A platform that is missing is `null` from `createEngine`; a device that goes away is an error
//   with code `device-lost`, one that refuses what it was given `engine-failed`, in the next `read`.
import type { TensorTypeName } from "../gguf/tensor-type.ts";
import type { DrawRule } from "../sampler/draw-rule.ts";

export type EngineName = "reference" | "wasm" | "webgpu";

/** `q8`: activations quantised to int8 per block of 32 (fast). `f32`: dequantised weights in f32. */
export type Activations = "q8" | "f32";

export interface EngineBuffer {
  readonly label: string;
  readonly byteLength: number;
}

/** A matrix of `nRows` output features by `nCols` input features, in the engine's own layout. */
export interface Weight {
  readonly label: string;
  readonly type: TensorTypeName;
  readonly nRows: number;
  readonly nCols: number;
  /** Bytes that the engine holds for it. */
  readonly byteLength: number;
}

export interface Projection {
  readonly weight: Weight;
  /** f32[nRows]. */
  readonly bias?: EngineBuffer;
}

/** RMS norm: x / sqrt(mean(x^2) + eps) * weight. */
export interface Norm {
  /** f32[size]. */
  readonly weight: EngineBuffer;
  readonly eps: number;
}

/**
 * How rows are stored: a number per channel, or for `q8` int8 codes and one f32 scale per row. An
 * engine that lacks one refuses it with code `unsupported-option`.
 */
export type CodecName = "f32" | "f16" | "q8";

/**
 * The rows of one layer, as the engine sees them. Made and owned by `cache/`.
 *
 * Head `h` holds rows `start[h] .. start[h] + length[h]` of the three buffers, oldest first, with
 * ascending positions; it may grow to `capacity[h]` rows.
 */
export interface LayerRows {
  readonly codec: CodecName;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** codec[nRowsTotal, headDim], `q8`: i8[headDim] and an f32 per row. Rotated keys. */
  readonly keys: EngineBuffer;
  /** As `keys`. */
  readonly values: EngineBuffer;
  /** u32[nRowsTotal]: the original position of each row. */
  readonly positions: EngineBuffer;
  readonly start: Uint32Array; // [nKvHeads]
  readonly length: Uint32Array; // [nKvHeads]
  readonly capacity: Uint32Array; // [nKvHeads]
}

export interface HeadShape {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

export interface AttendShape extends HeadShape {
  /** Factor on q.k, before the softmax. */
  readonly scale: number;
  /** Sliding window, tokens: a key is visible iff queryPosition - keyPosition < window. 0: none. */
  readonly window: number;
}

export interface RopeShape extends HeadShape {
  /** Pairs (2i, 2i+1) for `interleaved`, (i, i + headDim/2) for `half`. */
  readonly ropeStyle: "interleaved" | "half";
  /** Applied to each q head and each k head before the rotation (qwen3, gemma3). f32[headDim]. */
  readonly qNorm?: Norm;
  readonly kNorm?: Norm;
}

/** Angles: position * frequency[i], frequency[i] = base^(-2i/headDim) / factor[i], in f64. */
export interface RopeFrequencies {
  readonly base: number;
  readonly headDim: number;
  /** Linear scaling: every frequency is divided by it. Default 1. */
  readonly scale?: number;
  /** f32[headDim/2] divisors (llama 3's rope_freqs.weight). Default ones. */
  readonly factors?: Float32Array;
}

/** Where `measureWindow` puts its sums. */
export interface SumsLayout {
  /** Cells from one head to the next. */
  readonly stride: number;
  /** Adds to what `out` holds, queries in order: in parts or at once, the same bits. */
  readonly isAdded: boolean;
}

export type Activation = "silu" | "gelu-tanh";

export interface EngineMemory {
  /** Bytes allocated now, weights included. */
  readonly bytes: number;
  readonly weightBytes: number;
  readonly peakBytes: number;
  /** Bytes taken from the platform (the WASM memory's size), 0 where that means nothing. */
  readonly reservedBytes: number;
  /** The most that `bytes` can become; Infinity where only the machine limits it. */
  readonly limitBytes: number;
}

export interface EngineDefaults {
  /** How rows are stored. */
  readonly codec: CodecName;
  /** Prompt tokens per step of prefill: enough to keep it busy, few enough to stop soon. */
  readonly chunkSize: number;
}

export interface Engine {
  readonly name: EngineName;
  readonly activations: Activations;
  /** Threads that compute, the caller's included; 1 where the question has no meaning. */
  readonly nThreads: number;
  /**
   * Decode steps worth recording before the first one's token has been read: what a read takes is
   * then no loss. 0 where ops compute at once.
   */
  readonly readAhead: number;
  /** Ops run after they were called, so that the host can do something else meanwhile. */
  readonly isDeferred: boolean;
  /** Programs of a GPU started so far, for measurements; absent where ops are calls. */
  readonly nDispatches?: number;
  /** What suits it where nothing is asked for. */
  readonly defaults: EngineDefaults;
  /** How it can store rows. */
  readonly codecs: readonly CodecName[];
  memory(): EngineMemory;

  /** @throws {KvasirError} `out-of-memory` with bytes wanted and available. Content is undefined. */
  alloc(byteLength: number, label: string): EngineBuffer;
  free(buffer: EngineBuffer): void;
  /** A window on `buffer`; it shares the memory and must not be freed. */
  slice(buffer: EngineBuffer, byteOffset: number, byteLength: number): EngineBuffer;
  write(dst: EngineBuffer, byteOffset: number, src: Uint8Array): void;
  copy(
    dst: EngineBuffer,
    dstByteOffset: number,
    src: EngineBuffer,
    srcByteOffset: number,
    byteLength: number,
  ): void;
  /** Waits for everything recorded before. Returns a copy owned by the caller. */
  read(src: EngineBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array>;

  /**
   * Waits for what still starts. Threads: until then ops run on fewer, and `nThreads` counts all. A
   * GPU's self-tests: until then weights may be created and written, no more.
   *
   * @throws {KvasirError} `version-mismatch` when their script is of another build.
   */
  ready?(): Promise<void>;

  /** Takes memory from the platform for that much more at once, where many small steps are slow. */
  reserve(byteLength: number): void;
  /** Bytes that a matrix would take in this engine's layout. */
  weightByteLength(type: TensorTypeName, nRows: number, nCols: number): number;
  /** Room for a matrix; fill it by `writeWeightRows`. */
  createWeight(label: string, type: TensorTypeName, nRows: number, nCols: number): Weight;
  /**
   * Stores whole rows given as GGUF blocks, `firstRow` upwards, in the engine's layout.
   * `firstRow` and the number of rows are multiples of 8 unless the rows end the matrix.
   */
  writeWeightRows(weight: Weight, firstRow: number, blocks: Uint8Array): void;
  /**
   * Memory of the engine to read blocks into, which `writeWeightRows` then takes without a copy. It may be
   * shared with other threads. Absent, or null, where there is none to be had.
   */
  stage?(byteLength: number): Uint8Array | null;
  /** Takes all of it back: nobody reads into it any more. */
  unstage?(): void;
  freeWeight(weight: Weight): void;

  /** out f32[nTokens, nCols] = rows `tokens` (u32[nTokens]) of `weight`, times `scale`. */
  embed(
    out: EngineBuffer,
    weight: Weight,
    tokens: EngineBuffer,
    nTokens: number,
    scale: number,
  ): void;

  /** out f32[nTokens, sum of nRows] = projections of norm(x), side by side; x f32[nTokens, nCols]. */
  normProject(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    projections: readonly Projection[],
    nTokens: number,
  ): void;

  /** out f32[nTokens, headDim]: cos and sin of pair i at [2i] and [2i+1], first position onwards. */
  ropeTable(
    out: EngineBuffer,
    frequencies: RopeFrequencies,
    firstPosition: number,
    nTokens: number,
  ): void;

  /**
   * Norms (if asked) and rotates q and k of `qkv` f32[nTokens, (nHeads + 2 nKvHeads) headDim] in
   * place, appends k and v to `rows` with positions `firstPosition ..`, and advances `rows.length`.
   */
  ropeAppend(
    qkv: EngineBuffer,
    rows: LayerRows,
    table: EngineBuffer,
    shape: RopeShape,
    firstPosition: number,
    nTokens: number,
  ): void;

  /**
   * out f32[nTokens, nHeads headDim] = softmax(scale q.k) v over the rows that each query sees.
   * The `nTokens` queries are those of the newest `nTokens` rows (q as in `ropeAppend`, the same
   * stride): query i sees rows [0, length - nTokens + i], less those out of the sliding window.
   */
  attend(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void;

  /** x f32[nTokens, nRows] += norm?(weight input); input f32[nTokens, nCols]. */
  projectAdd(
    x: EngineBuffer,
    input: EngineBuffer,
    weight: Weight,
    nTokens: number,
    postNorm?: Norm,
  ): void;

  /** out f32[nTokens, ffnSize] = activation(gate norm(x)) * (up norm(x)). */
  normGateUp(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    gate: Weight,
    up: Weight,
    activation: Activation,
    nTokens: number,
  ): void;

  /** out f32[nTokens, vocabSize] = weight norm(x). */
  logits(out: EngineBuffer, x: EngineBuffer, norm: Norm, weight: Weight, nTokens: number): void;

  /** out u32[nTokens]: index of the largest of f32[nTokens, nCols], the first on ties. */
  argmax(out: EngineBuffer, logits: EngineBuffer, nTokens: number, nCols: number): void;

  /**
   * out u32[5 + 2 nCandidates] = a token drawn from `logits` f32[nCols] with the random number
   * `fraction`, 0 <= fraction < 1, and what the host needs to judge it, in the order of `Drawn`: the
   * token, f32 bits of highest, total, before and own, the candidates, their logits. The candidates
   * are exact, sums are f32, and the token is as exact as they are. `nCandidates` is at most 256 and
   * nCols. Absent where ops compute at once: then the host may as well see the logits.
   */
  draw?(
    out: EngineBuffer,
    logits: EngineBuffer,
    nCols: number,
    rule: DrawRule,
    fraction: number,
  ): void;

  /**
   * The attention signal `window` (methods.md 0.4): out f32[nHeads, nRows] = sum over the
   * `nQueries` newest queries of their softmax rows over all rows, nRows = max of rows.length;
   * `queries` as `qkv` in `attend`. Cells past a head's length are 0. With `layout` out is
   * f32[nHeads, stride]: chunk by chunk over all queries of a prompt it is the signal `colSum`.
   */
  measureWindow(
    out: EngineBuffer,
    queries: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nQueries: number,
    layout?: SumsLayout,
  ): void;

  /**
   * `attend`, the same bits, which also puts the softmax rows of its queries into `sums` as
   * `measureWindow` does with `layout`: the signal `colSum` without reading the keys again. Absent
   * where an engine has no such pass: then the two are called one after the other.
   */
  attendAndSum?(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
    sums: EngineBuffer,
    layout: SumsLayout,
  ): void;

  /**
   * The attention signal `queryStats`: adds to sums [nHeads, headDim (1 + headDim)] the sum of each
   * head's queries before their rotation (after the norm), then of their products q_i q_j at
   * [i headDim + j] for j >= i; the rest is left alone. `queries` as `qkv` after `ropeAppend` with
   * this `table`. The same bits in parts or at once. A sum takes 8 bytes, zeros are 0, and how more
   * than f32 holds is kept in them is the engine's matter: `readQuerySums` tells.
   */
  measureQueries(
    sums: EngineBuffer,
    queries: EngineBuffer,
    table: EngineBuffer,
    shape: RopeShape,
    nQueries: number,
  ): void;

  /** The first `n` sums of `measureQueries`. Waits for everything recorded before. */
  readQuerySums(sums: EngineBuffer, n: number): Promise<Float64Array>;

  /**
   * out f32[nHeads, nRows] = L1 norm of each row's value after the part of the output projection
   * (`weight` [hiddenSize, nHeads headDim]) that belongs to the query head, nRows = max of
   * rows.length. Cells past a head's length are 0.
   */
  measureOutputs(out: EngineBuffer, rows: LayerRows, weight: Weight, shape: HeadShape): void;

  /**
   * Copies rows `keep[h]` (ascending row indices) of each head of `src` to the start of the head in
   * `dst`, with their positions, re-coding when the codecs differ, and sets `dst.length`.
   * `dst` may be `src`: then it compacts in place.
   */
  gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void;

  /**
   * Turns the keys of each head from their positions to `targets[h]` (one per row) and writes those
   * as positions; the angle is (target - position) * frequency in f64. Rows that stay are untouched.
   */
  rotateRows(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    frequencies: RopeFrequencies,
    ropeStyle: RopeShape["ropeStyle"],
  ): void;

  dispose(): void;
}

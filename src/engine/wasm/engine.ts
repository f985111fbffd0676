// The Engine over WASM linear memory: baseline simd128, one thread, the same bits everywhere.
//
// Not here: arithmetic (rust-kernels) and decisions. Each op takes what it needs for itself from
// one scratch range that only ever grows, so a token loop allocates nothing.
import { assert } from "../../errors.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../gguf/tensor-type.ts";
import type {
  Activation,
  Activations,
  Engine,
  EngineBuffer,
  EngineDefaults,
  EngineMemory,
  HeadShape,
  LayerRows,
  Norm,
  Projection,
  RopeFrequencies,
  RopeShape,
  Weight,
} from "../engine.ts";
import { liveBuffer, liveWeight, pointer, WasmBuffer, WasmWeight } from "./buffers.ts";
import type { KernelWorker } from "../../runtime/runtime.ts";
import { JOB, TOKENS_PER_CHUNK } from "./pool/jobs.ts";
import type { Kernels } from "./kernels.ts";
import { MeasureOps } from "./measure-ops.ts";
import { Arena } from "./memory.ts";
import { Multiplier } from "./multiplier.ts";
import { AttendOps } from "./attend-ops.ts";
import { RowOps } from "./row-ops.ts";
import { OpScratch } from "./op-scratch.ts";
import { Pool } from "./pool/pool.ts";
import { WeightWriter } from "./weight-writer.ts";

/** Made by create.ts. */
export class WasmEngine implements Engine {
  readonly readAhead = 0;
  readonly isDeferred = false;
  readonly defaults: EngineDefaults;
  readonly codecs = ["f32", "f16", "q8"] as const;
  readonly name = "wasm" as const;
  readonly activations: Activations;
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;
  readonly #multiplier: Multiplier;
  readonly #weightWriter: WeightWriter;
  readonly #rowOps: RowOps;
  readonly #attendOps: AttendOps;
  readonly #measureOps: MeasureOps;
  readonly #frequencies = new Map<RopeFrequencies, number>();
  #pool: Pool | null = null;
  #bytes = 0;
  #weightBytes = 0;
  #peakBytes = 0;

  constructor(kernels: Kernels, activations: Activations, maxBytes: number | undefined) {
    this.#kernels = kernels;
    this.activations = activations;
    this.defaults = { codec: this.activations === "f32" ? "f32" : "f16", chunkSize: 128 };
    this.#arena = new Arena(kernels.memory, maxBytes);
    this.#scratch = new OpScratch(this.#arena);
    this.#multiplier = new Multiplier(kernels, this.#arena, this.#scratch);
    this.#weightWriter = new WeightWriter(kernels, this.#arena, this.#scratch);
    this.#rowOps = new RowOps(kernels, this.#arena, this.#scratch);
    this.#attendOps = new AttendOps(kernels, this.#arena, this.#scratch);
    this.#measureOps = new MeasureOps(kernels, this.#arena, this.#scratch);
  }

  get nThreads(): number {
    return this.#pool?.nThreads ?? 1;
  }

  /** Once, before any op. */
  beginPool(module: WebAssembly.Module, workers: readonly KernelWorker[]): void {
    this.#setPool(Pool.begin(module, this.#kernels, this.#arena, workers));
  }

  async ready(): Promise<void> {
    const pool = this.#pool;
    if (pool === null || (await pool.ready()) || this.#pool === null) return;
    pool.dispose();
    this.#setPool(null);
  }

  #setPool(pool: Pool | null): void {
    this.#pool = pool;
    this.#multiplier.pool = pool;
    this.#attendOps.pool = pool;
    this.#weightWriter.pool = pool;
  }

  memory(): EngineMemory {
    return {
      bytes: this.#bytes,
      weightBytes: this.#weightBytes,
      peakBytes: this.#peakBytes,
      reservedBytes: this.#arena.reservedBytes,
      limitBytes: this.#arena.limitBytes,
    };
  }

  alloc(byteLength: number, label: string): EngineBuffer {
    const buffer = new WasmBuffer(label, byteLength, this.#arena.alloc(byteLength, label));
    this.#count(byteLength);
    return buffer;
  }

  free(buffer: EngineBuffer): void {
    const own = liveBuffer(buffer);
    assert(own.root === own, "a slice is not freed");
    own.isFreed = true;
    this.#arena.free(own.ptr);
    this.#count(-own.byteLength);
  }

  slice(buffer: EngineBuffer, byteOffset: number, byteLength: number): EngineBuffer {
    const ptr = pointer(buffer, byteOffset, byteLength);
    return new WasmBuffer(buffer.label, byteLength, ptr, liveBuffer(buffer).root);
  }

  write(dst: EngineBuffer, byteOffset: number, src: Uint8Array): void {
    this.#arena.u8.set(src, pointer(dst, byteOffset, src.byteLength));
  }

  copy(
    dst: EngineBuffer,
    dstByteOffset: number,
    src: EngineBuffer,
    srcByteOffset: number,
    byteLength: number,
  ): void {
    const to = pointer(dst, dstByteOffset, byteLength);
    const from = pointer(src, srcByteOffset, byteLength);
    this.#arena.u8.copyWithin(to, from, from + byteLength);
  }

  async read(src: EngineBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const from = pointer(src, byteOffset, byteLength);
    return this.#arena.u8.slice(from, from + byteLength);
  }

  reserve(byteLength: number): void {
    this.#arena.reserve(byteLength);
  }

  weightByteLength(type: TensorTypeName, nRows: number, nCols: number): number {
    const isRaw = this.#isPacked(type) ? 0 : 1;
    return this.#kernels.weight_bytes(TENSOR_TYPES[type].id, nRows, nCols, isRaw);
  }

  createWeight(label: string, type: TensorTypeName, nRows: number, nCols: number): Weight {
    const isPacked = this.#isPacked(type);
    const byteLength = this.weightByteLength(type, nRows, nCols);
    const ptr = this.#arena.alloc(byteLength, label);
    this.#weightBytes += byteLength;
    this.#count(byteLength);
    return new WasmWeight({ label, type, nRows, nCols, byteLength, ptr, isPacked });
  }

  writeWeightRows(weight: Weight, firstRow: number, blocks: Uint8Array): void {
    const own = liveWeight(weight);
    const rowBytes = rowByteLength(TENSOR_TYPES[own.type], own.nCols);
    const n = blocks.byteLength / rowBytes;
    assert(Number.isInteger(n) && firstRow + n <= own.nRows, "whole rows in range are written");
    this.#weightWriter.write(own, firstRow, blocks, n);
  }

  stage(byteLength: number): Uint8Array | null {
    return this.#weightWriter.stage(byteLength);
  }

  unstage(): void {
    this.#weightWriter.unstage();
  }

  freeWeight(weight: Weight): void {
    const own = liveWeight(weight);
    own.isFreed = true;
    this.#arena.free(own.ptr);
    this.#weightBytes -= own.byteLength;
    this.#count(-own.byteLength);
  }

  embed(
    out: EngineBuffer,
    weight: Weight,
    tokens: EngineBuffer,
    nTokens: number,
    scale: number,
  ): void {
    const { isPacked, nCols, nRows, ptr, type, typeId } = liveWeight(weight);
    const to = pointer(out, 0, 4 * nTokens * nCols);
    const first = pointer(tokens, 0, 4 * nTokens) / 4;
    const rowBytes = rowByteLength(TENSOR_TYPES[type], nCols);
    const ids = this.#arena.u32;
    for (let i = 0; i < nTokens; i++) {
      const token = ids[first + i] ?? nRows;
      if (token >= nRows) assert(false, `token ${token} is one of ${nRows}`);
      const row = to + 4 * i * nCols;
      if (isPacked) this.#kernels.embed_packed_row(typeId, row, ptr, token, nCols, scale);
      else this.#kernels.embed_row(typeId, row, ptr + token * rowBytes, nCols, scale);
    }
  }

  normProject(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    projections: readonly Projection[],
    nTokens: number,
  ): void {
    let stride = 0;
    for (const { weight } of projections) stride += weight.nRows;
    const to = pointer(out, 0, 4 * nTokens * stride);
    this.#beginNormed(x, norm, nTokens, 0);
    let column = 0;
    for (const { weight, bias } of projections) {
      const { nRows } = weight;
      this.#multiplier.multiply(liveWeight(weight), to, stride, column);
      if (bias !== undefined) {
        this.#kernels.add_bias(to, pointer(bias, 0, 4 * nRows), nTokens, stride, column, nRows);
      }
      column += nRows;
    }
  }

  ropeTable(
    out: EngineBuffer,
    frequencies: RopeFrequencies,
    firstPosition: number,
    nTokens: number,
  ): void {
    const nPairs = frequencies.headDim / 2;
    const to = pointer(out, 0, 8 * nTokens * nPairs);
    const table = this.#frequencies.get(frequencies) ?? this.#addFrequencies(frequencies);
    this.#kernels.rope_table(to, table, nPairs, firstPosition, nTokens);
  }

  ropeAppend(...args: Parameters<RowOps["ropeAppend"]>): void {
    this.#rowOps.ropeAppend(...args);
  }

  attend(...args: Parameters<AttendOps["attend"]>): void {
    this.#attendOps.attend(...args);
  }

  attendAndSum(...args: Parameters<AttendOps["attendAndSum"]>): void {
    this.#attendOps.attendAndSum(...args);
  }

  projectAdd(
    x: EngineBuffer,
    input: EngineBuffer,
    weight: Weight,
    nTokens: number,
    postNorm?: Norm,
  ): void {
    const { nCols, nRows } = weight;
    const n = nTokens * nRows;
    const to = pointer(x, 0, 4 * n);
    const own = liveWeight(weight);
    const extraBytes = 8 * n + this.#multiplier.residualBytes(nTokens, nCols, nRows);
    this.#multiplier.begin(nCols, nTokens, extraBytes);
    this.#multiplier.setInput(pointer(input, 0, 4 * nTokens * nCols));
    let product = this.#scratch.take(4 * n);
    this.#multiplier.multiply(own, product, nRows, 0);
    this.#multiplier.addResiduals(own, product);
    if (postNorm !== undefined) {
      const normed = this.#scratch.take(4 * n);
      const norm = pointer(postNorm.weight, 0, 4 * nRows);
      this.#kernels.rms_norm(normed, product, norm, nTokens, nRows, postNorm.eps);
      product = normed;
    }
    this.#kernels.add(to, product, n);
  }

  normGateUp(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    gate: Weight,
    up: Weight,
    activation: Activation,
    nTokens: number,
  ): void {
    const size = gate.nRows;
    assert(up.nRows === size, "gate and up have as many rows");
    const to = pointer(out, 0, 4 * nTokens * size);
    this.#beginNormed(x, norm, nTokens, 8 * nTokens * size);
    const gateUp = this.#scratch.take(8 * nTokens * size);
    this.#multiplier.multiply(liveWeight(gate), gateUp, 2 * size, 0);
    this.#multiplier.multiply(liveWeight(up), gateUp, 2 * size, size);
    this.#gate(to, gateUp, nTokens, size, activation === "silu" ? 0 : 1);
  }

  logits(out: EngineBuffer, x: EngineBuffer, norm: Norm, weight: Weight, nTokens: number): void {
    const to = pointer(out, 0, 4 * nTokens * weight.nRows);
    this.#beginNormed(x, norm, nTokens, 0);
    this.#multiplier.multiply(liveWeight(weight), to, weight.nRows, 0);
  }

  argmax(out: EngineBuffer, logits: EngineBuffer, nTokens: number, nCols: number): void {
    const to = pointer(out, 0, 4 * nTokens) / 4;
    const from = pointer(logits, 0, 4 * nTokens * nCols);
    const u32 = this.#arena.u32;
    for (let i = 0; i < nTokens; i++) {
      u32[to + i] = this.#kernels.arg_max(from + 4 * i * nCols, nCols);
    }
  }

  measureWindow(...args: Parameters<AttendOps["measureWindow"]>): void {
    this.#attendOps.measureWindow(...args);
  }

  measureQueries(...args: Parameters<MeasureOps["measureQueries"]>): void {
    this.#measureOps.measureQueries(...args);
  }

  async readQuerySums(sums: EngineBuffer, n: number): Promise<Float64Array> {
    const bytes = await this.read(sums, 0, 8 * n);
    return new Float64Array(bytes.slice().buffer);
  }

  measureOutputs(out: EngineBuffer, rows: LayerRows, weight: Weight, shape: HeadShape): void {
    this.#measureOps.measureOutputs(out, rows, weight, shape);
  }

  rotateRows(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    frequencies: RopeFrequencies,
    ropeStyle: RopeShape["ropeStyle"],
  ): void {
    const table = this.#frequencies.get(frequencies) ?? this.#addFrequencies(frequencies);
    this.#measureOps.rotateRows(rows, targets, table, ropeStyle);
  }

  gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
    this.#rowOps.gatherRows(dst, src, keep);
  }

  dispose(): void {
    this.#pool?.dispose();
    this.#pool = null;
    this.#frequencies.clear(); // the memory goes with the instance
  }

  #gate(out: number, gateUp: number, nTokens: number, size: number, kind: number): void {
    if (this.#pool === null || nTokens <= TOKENS_PER_CHUNK) {
      this.#kernels.gate(out, gateUp, nTokens, size, kind);
      return;
    }
    const { i32 } = this.#pool.args;
    i32[0] = out;
    i32[1] = gateUp;
    i32[2] = nTokens;
    i32[3] = size;
    i32[4] = kind;
    this.#pool.run(JOB.gate, Math.ceil(nTokens / TOKENS_PER_CHUNK));
  }

  /** Norms x f32[nTokens, size] into the multiplier's input; `extraBytes` as in its `begin`. */
  #beginNormed(x: EngineBuffer, norm: Norm, nTokens: number, extraBytes: number): void {
    const weight = liveBuffer(norm.weight);
    const size = weight.byteLength / 4;
    const bytes = 4 * nTokens * size;
    const from = pointer(x, 0, bytes);
    this.#multiplier.begin(size, nTokens, bytes + extraBytes);
    const normed = this.#scratch.take(bytes);
    this.#kernels.rms_norm(normed, from, weight.ptr, nTokens, size, norm.eps);
    this.#multiplier.setInput(normed);
  }

  #isPacked(type: TensorTypeName): boolean {
    return this.activations === "q8" && this.#kernels.is_packed(TENSOR_TYPES[type].id) !== 0;
  }

  #addFrequencies(frequencies: RopeFrequencies): number {
    const { base, headDim, scale = 1, factors } = frequencies;
    const nPairs = headDim / 2;
    const ptr = this.#arena.alloc(8 * nPairs, "rope frequencies");
    const divisors = ptr + 4 * nPairs;
    if (factors !== undefined) this.#arena.f32.set(factors, divisors / 4);
    const nFactors = factors === undefined ? 0 : nPairs;
    this.#kernels.rope_frequencies(ptr, nPairs, base, scale, divisors, nFactors);
    this.#frequencies.set(frequencies, ptr);
    return ptr;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }
}

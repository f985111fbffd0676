// The oracle: every op of the engine in plain TypeScript, f32 storage, f64 reductions. Slow and
// short; other engines are tested against it, and it runs where nothing else does.
import { assert, KvasirError } from "../../errors.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../gguf/tensor-type.ts";
import type {
  Activation,
  Activations,
  AttendShape,
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
  SumsLayout,
  Weight,
} from "../engine.ts";
import type { ReferenceBuffer } from "./buffers.ts";
import { Ledger, newBuffer, own } from "./buffers.ts";
import { draw } from "./draw.ts";
import * as measure from "./measure.ts";
import * as ops from "./ops.ts";
import { checkRoom, gatherRows, readHead, writeRow } from "./rows.ts";
import { ownWeight, ReferenceWeight } from "./weights.ts";

export interface ReferenceOptions {
  /**
   * `q8` quantises what quantised weights multiply, as the fast engines do: the oracle for them.
   * Default "f32".
   */
  readonly activations?: Activations;
  /** Weights that multiply f32 even with `q8`. Default: F32, F16, BF16. */
  readonly f32Types?: readonly TensorTypeName[];
  /** `alloc` and `createWeight` fail past it. Default: no limit. */
  readonly maxBytes?: number;
}

/** Makes a reference engine; it holds nothing until something is allocated. */
export function createReferenceEngine(options: ReferenceOptions = {}): Engine {
  return new ReferenceEngine(options);
}

class ReferenceEngine implements Engine {
  readonly name = "reference";
  readonly nThreads = 1;
  readonly activations: Activations;
  readonly readAhead = 0;
  readonly isDeferred = false;
  readonly defaults: EngineDefaults;
  readonly codecs = ["f32", "f16", "q8"] as const;
  readonly draw = draw;
  readonly #f32Types: readonly TensorTypeName[];
  readonly #ledger: Ledger;
  readonly #live = new Set<ReferenceBuffer | ReferenceWeight>();
  #isDisposed = false;

  constructor(options: ReferenceOptions) {
    this.activations = options.activations ?? "f32";
    this.defaults = { codec: this.activations === "f32" ? "f32" : "f16", chunkSize: 128 };
    this.#f32Types = options.f32Types ?? ["F32", "F16", "BF16"];
    this.#ledger = new Ledger(options.maxBytes ?? Infinity);
  }

  memory(): EngineMemory {
    return this.#ledger.memory();
  }

  alloc(byteLength: number, label: string): EngineBuffer {
    this.#checkUsable("allocate");
    this.#ledger.check(byteLength, label);
    const buffer = newBuffer(byteLength, label);
    this.#ledger.take(byteLength, false);
    this.#live.add(buffer);
    return buffer;
  }

  free(buffer: EngineBuffer): void {
    this.#release(own(buffer));
  }

  slice(buffer: EngineBuffer, byteOffset: number, byteLength: number): EngineBuffer {
    return own(buffer).slice(byteOffset, byteLength);
  }

  write(dst: EngineBuffer, byteOffset: number, src: Uint8Array): void {
    own(dst).bytes(byteOffset, src.byteLength).set(src);
  }

  copy(
    dst: EngineBuffer,
    dstByteOffset: number,
    src: EngineBuffer,
    srcByteOffset: number,
    byteLength: number,
  ): void {
    const source = own(src).bytes(srcByteOffset, byteLength);
    own(dst).bytes(dstByteOffset, byteLength).set(source);
  }

  async read(src: EngineBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    return own(src).bytes(byteOffset, byteLength).slice();
  }

  reserve(): void {}

  weightByteLength(type: TensorTypeName, nRows: number, nCols: number): number {
    return nRows * rowByteLength(TENSOR_TYPES[type], nCols);
  }

  createWeight(label: string, type: TensorTypeName, nRows: number, nCols: number): Weight {
    this.#checkUsable("create a weight");
    this.#ledger.check(this.weightByteLength(type, nRows, nCols), label);
    const weight = new ReferenceWeight(label, type, nRows, nCols);
    this.#ledger.take(weight.byteLength, true);
    this.#live.add(weight);
    return weight;
  }

  writeWeightRows(weight: Weight, firstRow: number, blocks: Uint8Array): void {
    ownWeight(weight).writeRows(firstRow, blocks);
  }

  freeWeight(weight: Weight): void {
    this.#release(ownWeight(weight));
  }

  embed(
    out: EngineBuffer,
    weight: Weight,
    tokens: EngineBuffer,
    nTokens: number,
    scale: number,
  ): void {
    const { nCols } = weight;
    const result = own(out).f32(nTokens * nCols);
    own(tokens)
      .u32(nTokens)
      .forEach((token, i) => {
        const row = ownWeight(weight).row(token);
        result.set(
          row.map((value) => value * Math.fround(scale)),
          i * nCols,
        );
      });
  }

  normProject(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    projections: readonly Projection[],
    nTokens: number,
  ): void {
    const nCols = projections[0]!.weight.nCols;
    const input = normTokens(own(x).f32(nTokens * nCols), norm, nCols);
    const stride = projections.reduce((sum, { weight }) => sum + weight.nRows, 0);
    const result = own(out).f32(nTokens * stride);
    let offset = 0;
    for (const { weight, bias } of projections) {
      this.#project(result, offset, stride, weight, input, nTokens, bias);
      offset += weight.nRows;
    }
  }

  ropeTable(
    out: EngineBuffer,
    frequencies: RopeFrequencies,
    firstPosition: number,
    nTokens: number,
  ): void {
    const result = own(out).f32(nTokens * frequencies.headDim);
    ops.ropeTable(result, frequencies, firstPosition, nTokens);
  }

  ropeAppend(
    qkv: EngineBuffer,
    rows: LayerRows,
    table: EngineBuffer,
    shape: RopeShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    checkRoom(rows, nTokens);
    const { nHeads, nKvHeads, headDim, ropeStyle, qNorm, kNorm } = shape;
    for (let token = 0; token < nTokens; token++) {
      const angles = own(table).f32(headDim, token * headDim);
      const heads = headsOfToken(qkv, shape, token);
      heads.slice(0, nHeads + nKvHeads).forEach((head, i) => {
        const norm = i < nHeads ? qNorm : kNorm;
        if (norm) ops.rmsNorm(head, head, own(norm.weight).f32(headDim), norm.eps);
        ops.rotate(head, angles, ropeStyle);
      });
      for (let head = 0; head < nKvHeads; head++) {
        const key = heads[nHeads + head]!;
        const value = heads[nHeads + nKvHeads + head]!;
        writeRow(rows, head, rows.length[head]! + token, key, value, firstPosition + token);
      }
    }
    for (let head = 0; head < nKvHeads; head++) rows.length[head]! += nTokens;
  }

  attend(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { nHeads, headDim } = shape;
    const result = own(out).f32(nTokens * nHeads * headDim);
    forEachQuery(qkv, rows, shape, firstPosition, nTokens, (head, token, weights, values) => {
      const sums = new Float64Array(headDim);
      weights.forEach((weight, row) => {
        for (let i = 0; i < headDim; i++) sums[i]! += weight * values[row * headDim + i]!;
      });
      result.set(sums, (token * nHeads + head) * headDim);
    });
  }

  projectAdd(
    x: EngineBuffer,
    input: EngineBuffer,
    weight: Weight,
    nTokens: number,
    postNorm?: Norm,
  ): void {
    const { nRows, nCols } = weight;
    const sum = own(x).f32(nTokens * nRows);
    const projected = new Float32Array(nTokens * nRows);
    const source = own(input).f32(nTokens * nCols);
    this.#project(projected, 0, nRows, weight, source, nTokens);
    const added = postNorm ? normTokens(projected, postNorm, nRows) : projected;
    added.forEach((value, i) => (sum[i]! += value));
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
    const { nRows, nCols } = gate;
    const input = normTokens(own(x).f32(nTokens * nCols), norm, nCols);
    const result = own(out).f32(nTokens * nRows);
    const upResult = new Float32Array(nTokens * nRows);
    this.#project(result, 0, nRows, gate, input, nTokens);
    this.#project(upResult, 0, nRows, up, input, nTokens);
    ops.activate(result, upResult, activation);
  }

  logits(out: EngineBuffer, x: EngineBuffer, norm: Norm, weight: Weight, nTokens: number): void {
    this.normProject(out, x, norm, [{ weight }], nTokens);
  }

  argmax(out: EngineBuffer, logits: EngineBuffer, nTokens: number, nCols: number): void {
    const result = own(out).u32(nTokens);
    for (let token = 0; token < nTokens; token++) {
      result[token] = ops.argmax(own(logits).f32(nCols, token * nCols));
    }
  }

  measureWindow(
    out: EngineBuffer,
    queries: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nQueries: number,
    layout: SumsLayout = { stride: Math.max(...rows.length), isAdded: false },
  ): void {
    const { stride, isAdded } = layout;
    const result = own(out).f32(shape.nHeads * stride);
    // f32 sums, query by query: in parts or at once, the same bits.
    if (!isAdded) result.fill(0);
    forEachQuery(queries, rows, shape, firstPosition, nQueries, (head, _query, weights) => {
      weights.forEach((weight, row) => (result[head * stride + row]! += weight));
    });
  }

  measureQueries(
    sums: EngineBuffer,
    queries: EngineBuffer,
    table: EngineBuffer,
    shape: RopeShape,
    nQueries: number,
  ): void {
    measure.measureQueries(sums, queries, table, shape, nQueries);
  }

  async readQuerySums(sums: EngineBuffer, n: number): Promise<Float64Array> {
    const bytes = own(sums).bytes(0, 8 * n);
    return new Float64Array(bytes.slice().buffer);
  }

  measureOutputs(out: EngineBuffer, rows: LayerRows, weight: Weight, shape: HeadShape): void {
    measure.measureOutputs(out, rows, weight, shape);
  }

  rotateRows(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    frequencies: RopeFrequencies,
    ropeStyle: RopeShape["ropeStyle"],
  ): void {
    measure.rotateRows(rows, targets, frequencies, ropeStyle);
  }

  gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
    gatherRows(dst, src, keep);
  }

  dispose(): void {
    this.#live.forEach((item) => this.#release(item));
    this.#isDisposed = true;
  }

  /** Rows `token * stride + offset ..` of `out` = weight input[token] + bias. */
  #project(
    out: Float32Array,
    offset: number,
    stride: number,
    weight: Weight,
    input: Float32Array,
    nTokens: number,
    bias?: EngineBuffer,
  ): void {
    const isRounded = this.activations === "q8" && !this.#f32Types.includes(weight.type);
    const x = isRounded ? ops.quantizeActivations(input) : input;
    const biasValues = bias && own(bias).f32(weight.nRows);
    const values = ownWeight(weight).values();
    ops.matMul(out, offset, stride, values, x, nTokens, weight.nCols, biasValues);
  }

  #release(item: ReferenceBuffer | ReferenceWeight): void {
    item.markFreed();
    assert(this.#live.delete(item), `"${item.label}" belongs to another engine`);
    this.#ledger.give(item.byteLength, item instanceof ReferenceWeight);
  }

  #checkUsable(action: string): void {
    if (this.#isDisposed) {
      throw new KvasirError("disposed", `Cannot ${action}: the engine was disposed`);
    }
  }
}

/** The norm of each row of x f32[nTokens, nCols], a new array. */
function normTokens(x: Float32Array, norm: Norm, nCols: number): Float32Array {
  const out = new Float32Array(x.length);
  const weight = own(norm.weight).f32(nCols);
  for (let start = 0; start < x.length; start += nCols) {
    const end = start + nCols;
    ops.rmsNorm(out.subarray(start, end), x.subarray(start, end), weight, norm.eps);
  }
  return out;
}

/** Views on the q, k and v heads f32[headDim] of one token of `qkv`, in this order. */
function headsOfToken(qkv: EngineBuffer, shape: HeadShape, token: number): Float32Array[] {
  const { nHeads, nKvHeads, headDim } = shape;
  const nAll = nHeads + 2 * nKvHeads;
  return Array.from({ length: nAll }, (_, head) =>
    own(qkv).f32(headDim, (token * nAll + head) * headDim),
  );
}

/** Calls `visit` with the attention weights f64[rows of the head] of every head and query. */
function forEachQuery(
  qkv: EngineBuffer,
  rows: LayerRows,
  shape: AttendShape,
  firstPosition: number,
  nQueries: number,
  visit: (head: number, query: number, weights: Float64Array, values: Float32Array) => void,
): void {
  const { nHeads, nKvHeads, scale, window } = shape;
  const nGroups = nHeads / nKvHeads;
  for (let kvHead = 0; kvHead < nKvHeads; kvHead++) {
    const { keys, values, positions } = readHead(rows, kvHead);
    for (let query = 0; query < nQueries; query++) {
      const nVisible = positions.length - nQueries + query + 1;
      const queryPosition = firstPosition + query;
      const sight = { nVisible, queryPosition, positions, window, scale };
      const heads = headsOfToken(qkv, shape, query);
      for (let head = kvHead * nGroups; head < (kvHead + 1) * nGroups; head++) {
        visit(head, query, ops.attentionWeights(heads[head]!, keys, sight), values);
      }
    }
  }
}

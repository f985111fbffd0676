// The Engine over WebGPU: each operation records dispatches, nothing runs before `read` or a full
// recorder. Activations and sums are f32, or int8 in products where that was asked for; weights stay
// in their codes and are widened on the way.
//
// Not here: arithmetic (shaders/) and decisions.
import { assert, KvasirError } from "../../errors.ts";
import type { TensorTypeName } from "../../gguf/tensor-type.ts";
import type { DrawRule } from "../../sampler/draw-rule.ts";
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
import { AttendOps } from "./ops/attend.ts";
import { GpuBuffer, Ledger, liveBuffer, rangeOf } from "./device/buffers.ts";
import type { GpuDevice } from "./device/device.ts";
import { DrawOps } from "./ops/draw.ts";
import { IndexLists } from "./ops/index-lists.ts";
import { MeasureOps, readDoubles } from "./ops/measure.ts";
import { OpContext } from "./ops/op-context.ts";
import { ProjectOps } from "./ops/project.ts";
import type { FrequenciesOf } from "./ops/rope-frequencies.ts";
import { RowOps } from "./ops/row.ts";
import { liveWeight, weightByteLength, Weights } from "./weights/weights.ts";

/** Made by create.ts. */
export class WebGpuEngine implements Engine {
  readonly name = "webgpu" as const;
  readonly activations: Activations;
  readonly nThreads = 1;
  readonly readAhead: number;
  readonly isDeferred = true;
  readonly defaults: EngineDefaults = { codec: "f16", chunkSize: 2048 };
  readonly codecs = ["f32", "f16"] as const;
  readonly #gpu: GpuDevice;
  readonly #context: OpContext;
  readonly #ledger: Ledger;
  readonly #weights: Weights;
  readonly #project: ProjectOps;
  readonly #draw: DrawOps;
  readonly #rows: RowOps;
  readonly #attend: AttendOps;
  readonly #measure: MeasureOps;
  #isDisposed = false;

  /**
   * @param limitBytes What callers may hold at once.
   * @param activations "q8" multiplies weights of whole codes with tokens rounded to int8.
   */
  constructor(
    gpu: GpuDevice,
    frequenciesOf: FrequenciesOf,
    readAhead: number,
    limitBytes = Infinity,
    activations: Activations = "f32",
  ) {
    this.#gpu = gpu;
    this.activations = activations;
    this.readAhead = readAhead;
    this.#context = new OpContext(gpu, activations);
    this.#ledger = new Ledger(limitBytes);
    this.#weights = new Weights(this.#context);
    this.#project = new ProjectOps(this.#context);
    this.#draw = new DrawOps(this.#context);
    const lists = new IndexLists(this.#context);
    this.#rows = new RowOps(this.#context, lists, frequenciesOf);
    this.#attend = new AttendOps(this.#context);
    this.#measure = new MeasureOps(this.#context, lists, this.#project);
  }

  get nDispatches(): number {
    return this.#context.recorder.nDispatches;
  }

  memory(): EngineMemory {
    return this.#ledger.memory(this.#gpu.reservedBytes);
  }

  alloc(byteLength: number, label: string): EngineBuffer {
    this.#checkUsable("allocate");
    this.#ledger.check(byteLength, label);
    const allocation = this.#gpu.allocate(label, byteLength);
    this.#ledger.count(allocation.byteLength, false);
    return new GpuBuffer(label, allocation, 0, byteLength, false);
  }

  free(buffer: EngineBuffer): void {
    const { allocation, isSlice, label } = liveBuffer(buffer);
    assert(!isSlice, `"${label}" is a slice and must not be freed`);
    allocation.isFreed = true;
    this.#ledger.count(-allocation.byteLength, false);
    this.#context.recorder.retire(allocation);
  }

  slice(buffer: EngineBuffer, byteOffset: number, byteLength: number): EngineBuffer {
    const from = rangeOf(buffer, byteOffset, byteLength);
    const { allocation, label } = liveBuffer(buffer);
    return new GpuBuffer(label, allocation, from, byteLength, true);
  }

  write(dst: EngineBuffer, byteOffset: number, src: Uint8Array): void {
    const to = rangeOf(dst, byteOffset, src.byteLength);
    this.#context.recorder.write(liveBuffer(dst).allocation, to, src);
  }

  copy(
    dst: EngineBuffer,
    dstByteOffset: number,
    src: EngineBuffer,
    srcByteOffset: number,
    byteLength: number,
  ): void {
    const to = rangeOf(dst, dstByteOffset, byteLength);
    const from = rangeOf(src, srcByteOffset, byteLength);
    const [target, source] = [liveBuffer(dst).allocation, liveBuffer(src).allocation];
    this.#context.recorder.copy(target, to, source, from, byteLength);
  }

  async read(src: EngineBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const from = rangeOf(src, byteOffset, byteLength);
    return this.#context.recorder.read(liveBuffer(src).allocation, from, byteLength);
  }

  ready(): Promise<void> {
    return this.#gpu.prepared;
  }

  reserve(byteLength: number): void {
    this.#weights.reserve(byteLength);
  }

  weightByteLength(type: TensorTypeName, nRows: number, nCols: number): number {
    return weightByteLength(type, nRows, nCols);
  }

  createWeight(label: string, type: TensorTypeName, nRows: number, nCols: number): Weight {
    this.#checkUsable("create a weight");
    this.#ledger.check(weightByteLength(type, nRows, nCols), label);
    const weight = this.#weights.create(label, type, nRows, nCols);
    this.#ledger.count(weight.byteLength, true);
    return weight;
  }

  writeWeightRows(weight: Weight, firstRow: number, blocks: Uint8Array): void {
    this.#weights.write(liveWeight(weight), firstRow, blocks);
  }

  freeWeight(weight: Weight): void {
    const own = liveWeight(weight);
    this.#weights.free(own);
    this.#ledger.count(-own.byteLength, true);
  }

  embed(
    out: EngineBuffer,
    weight: Weight,
    tokens: EngineBuffer,
    nTokens: number,
    scale: number,
  ): void {
    this.#project.embed(out, weight, tokens, nTokens, scale);
  }

  normProject(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    projections: readonly Projection[],
    nTokens: number,
  ): void {
    this.#project.normProject(out, x, norm, projections, nTokens);
  }

  ropeTable(
    out: EngineBuffer,
    frequencies: RopeFrequencies,
    firstPosition: number,
    nTokens: number,
  ): void {
    this.#rows.ropeTable(out, frequencies, firstPosition, nTokens);
  }

  ropeAppend(
    qkv: EngineBuffer,
    rows: LayerRows,
    table: EngineBuffer,
    shape: RopeShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    this.#rows.ropeAppend(qkv, rows, table, shape, firstPosition, nTokens);
  }

  attend(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    this.#attend.attend(out, qkv, rows, shape, firstPosition, nTokens);
  }

  projectAdd(
    x: EngineBuffer,
    input: EngineBuffer,
    weight: Weight,
    nTokens: number,
    postNorm?: Norm,
  ): void {
    this.#project.projectAdd(x, input, weight, nTokens, postNorm);
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
    this.#project.normGateUp(out, x, norm, gate, up, activation, nTokens);
  }

  logits(out: EngineBuffer, x: EngineBuffer, norm: Norm, weight: Weight, nTokens: number): void {
    this.#project.normProject(out, x, norm, [{ weight }], nTokens);
  }

  argmax(out: EngineBuffer, logits: EngineBuffer, nTokens: number, nCols: number): void {
    this.#project.argmax(out, logits, nTokens, nCols);
  }

  draw(
    out: EngineBuffer,
    logits: EngineBuffer,
    nCols: number,
    rule: DrawRule,
    fraction: number,
  ): void {
    this.#draw.draw(out, logits, nCols, rule, fraction);
  }

  measureWindow(
    out: EngineBuffer,
    queries: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nQueries: number,
    layout?: SumsLayout,
  ): void {
    this.#measure.measureWindow(out, queries, rows, shape, firstPosition, nQueries, layout);
  }

  measureQueries(
    sums: EngineBuffer,
    queries: EngineBuffer,
    table: EngineBuffer,
    shape: RopeShape,
    nQueries: number,
  ): void {
    this.#measure.measureQueries(sums, queries, table, shape, nQueries);
  }

  readQuerySums(sums: EngineBuffer, n: number): Promise<Float64Array> {
    return readDoubles(this, sums, n);
  }

  measureOutputs(out: EngineBuffer, rows: LayerRows, weight: Weight, shape: HeadShape): void {
    this.#measure.measureOutputs(out, rows, weight, shape);
  }

  gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
    this.#rows.gatherRows(dst, src, keep);
  }

  rotateRows(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    frequencies: RopeFrequencies,
    ropeStyle: RopeShape["ropeStyle"],
  ): void {
    this.#rows.rotateRows(rows, targets, frequencies, ropeStyle);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#gpu.dispose();
  }

  #checkUsable(action: string): void {
    this.#gpu.throwIfLost();
    if (this.#isDisposed) {
      throw new KvasirError("disposed", `Cannot ${action}: the engine was disposed`);
    }
  }
}

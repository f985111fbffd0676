// Operations that multiply by a weight, and argmax.
import { assert } from "../../../errors.ts";
import type { Activation, EngineBuffer, Norm, Projection, Weight } from "../../engine.ts";
import { MODE, Multiplier, type Segment } from "./multiplier.ts";
import type { OpContext } from "./op-context.ts";
import { PROJECT_SHADERS } from "./project-shaders.ts";
import { weightConstants } from "../weights/weight-layout.ts";
import { type GpuWeight, liveWeight } from "../weights/weights.ts";

const F32_BYTES = 4;
/** As in argmax.wgsl. */
const ARGMAX_SLICE = 2048;

export class ProjectOps {
  readonly #context: OpContext;
  readonly #multiplier: Multiplier;

  constructor(context: OpContext) {
    this.#context = context;
    this.#multiplier = new Multiplier(context);
  }

  /** As `Engine.embed`. Tokens past the matrix leave their rows of `out` as they are. */
  embed(
    out: EngineBuffer,
    weight: Weight,
    tokens: EngineBuffer,
    nTokens: number,
    scale: number,
  ): void {
    const { pipelines, recorder } = this.#context;
    const { nCols, parts, type, words } = liveWeight(weight);
    const to = recorder.bind(out, 0, F32_BYTES * nTokens * nCols);
    const ids = recorder.bind(tokens, 0, 4 * nTokens);
    const kernel = pipelines.kernel(PROJECT_SHADERS.embed, weightConstants(type));
    for (const { chunk, byteOffset, firstRow, nRows } of parts) {
      const weights = recorder.bindRange(chunk.allocation, 0, 0);
      recorder
        .params()
        .u32(words.nGroups, words.total, nCols, byteOffset / 4, firstRow, nRows, ids.at, to.at)
        .f32(scale);
      const nAcross = Math.ceil((4 * words.nGroups) / 64);
      recorder.dispatch(kernel, [weights, ids, to], nAcross, nTokens);
    }
  }

  /** As `Engine.normProject`. */
  normProject(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    projections: readonly Projection[],
    nTokens: number,
  ): void {
    const segments: Segment[] = [];
    let stride = 0;
    for (const { weight, bias } of projections) {
      segments.push(...segmentsOf(liveWeight(weight), stride, bias));
      stride += weight.nRows;
    }
    const nCols = projections[0]?.weight.nCols ?? 0;
    const to = this.#context.recorder.bind(out, 0, F32_BYTES * nTokens * stride);
    const input = this.#multiplier.input(x, nTokens, nCols, norm);
    this.#multiplier.multiply(input, segments, { out: to, stride }, MODE.store);
  }

  /** As `Engine.projectAdd`. */
  projectAdd(
    x: EngineBuffer,
    input: EngineBuffer,
    weight: Weight,
    nTokens: number,
    postNorm?: Norm,
  ): void {
    const { recorder } = this.#context;
    const { nCols, nRows } = weight;
    const segments = segmentsOf(liveWeight(weight), 0);
    const byteLength = F32_BYTES * nTokens * nRows;
    const to = recorder.bind(x, 0, byteLength);
    const from = this.#multiplier.input(input, nTokens, nCols);
    if (postNorm === undefined) {
      this.#multiplier.multiply(from, segments, { out: to, stride: nRows }, MODE.add);
      return;
    }
    const product = this.#context.scratch("product", byteLength);
    this.#multiplier.multiply(from, segments, { out: product, stride: nRows }, MODE.store);
    const norm = {
      weight: recorder.bind(postNorm.weight, 0, F32_BYTES * nRows),
      eps: postNorm.eps,
    };
    this.#multiplier.norm(to, nRows, product, nTokens, nRows, norm, true);
  }

  /** As `Engine.normGateUp`. */
  normGateUp(
    out: EngineBuffer,
    x: EngineBuffer,
    norm: Norm,
    gate: Weight,
    up: Weight,
    activation: Activation,
    nTokens: number,
  ): void {
    const { pipelines, recorder } = this.#context;
    const [gateWeight, upWeight] = [liveWeight(gate), liveWeight(up)];
    const size = gate.nRows;
    assert(up.nRows === size, "gate and up have as many rows");
    const to = recorder.bind(out, 0, F32_BYTES * nTokens * size);
    const input = this.#multiplier.input(x, nTokens, gate.nCols, norm);
    const output = { out: to, stride: size };
    const isDone = this.#multiplier.multiplyGated(
      input,
      gateWeight,
      upWeight,
      output,
      MODE[activation],
    );
    if (isDone) return;
    const both = this.#context.scratch("gate and up", 2 * F32_BYTES * nTokens * size);
    const segments = [...segmentsOf(gateWeight, 0), ...segmentsOf(upWeight, size)];
    this.#multiplier.multiply(input, segments, { out: both, stride: 2 * size }, MODE.store);
    const isGelu = activation === "gelu-tanh" ? 1 : 0;
    const kernel = pipelines.kernel(PROJECT_SHADERS.gate, { IS_GELU: isGelu });
    recorder.params().u32(size, both.at, to.at);
    recorder.dispatch(kernel, [both, to], Math.ceil(size / 64), nTokens);
  }

  /** As `Engine.argmax`. */
  argmax(out: EngineBuffer, logits: EngineBuffer, nTokens: number, nCols: number): void {
    const { pipelines, recorder } = this.#context;
    const to = recorder.bind(out, 0, 4 * nTokens);
    const from = recorder.bind(logits, 0, F32_BYTES * nTokens * nCols);
    const nSlices = Math.ceil(nCols / ARGMAX_SLICE);
    const slices = this.#context.scratch("argmax", 8 * nTokens * nSlices);
    recorder.params().u32(nCols, from.at, slices.at / 2, nSlices);
    const first = pipelines.kernel(PROJECT_SHADERS.argmax);
    recorder.dispatch(first, [from, slices], nSlices, nTokens);
    recorder.params().u32(slices.at / 2, nSlices, to.at);
    recorder.dispatch(pipelines.kernel(PROJECT_SHADERS.argmaxMerge), [slices, to], nTokens);
  }
}

/** The parts of a matrix, its rows going to `column` upwards. */
function segmentsOf(weight: GpuWeight, column: number, bias?: EngineBuffer): Segment[] {
  return weight.parts.map((part) => ({ weight, part, column: column + part.firstRow, bias }));
}

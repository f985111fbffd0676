// Drawing a token: the softmax and the groups' largest in parallel, then one workgroup chooses.
import { assert } from "../../../errors.ts";
import { type DrawRule, MAX_CANDIDATES } from "../../../sampler/draw-rule.ts";
import type { EngineBuffer } from "../../engine.ts";
import drawAll from "../shaders/draw/draw_all.wgsl";
import drawScan from "../shaders/draw/draw_scan.wgsl";
import drawTop from "../shaders/draw/draw_top.wgsl";
import logitWeight from "../shaders/lib/logit_weight.wgsl";
import nthLargest from "../shaders/lib/reduce/nth_largest.wgsl";
import order from "../shaders/lib/reduce/order.wgsl";
import { linkShader } from "../device/pipelines.ts";
import type { OpContext } from "./op-context.ts";

const SHADERS = {
  all: linkShader("draw_all", drawAll, logitWeight, order),
  scan: linkShader("draw_scan", drawScan, logitWeight, order),
  top: linkShader("draw_top", drawTop, logitWeight, nthLargest, order),
} as const;

/** As in draw_scan.wgsl: columns of a slice, groups in it, columns of a group. */
const SLICE = 8192;
const N_GROUPS = 256;
const GROUP = SLICE / N_GROUPS;
const KEY_BYTES = 8;
/** Bits of `flags` in draw_top.wgsl. */
const IS_TOP_K = 1;
const IS_NUCLEUS = 2;

export class DrawOps {
  readonly #context: OpContext;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** As `Engine.draw`. */
  draw(
    out: EngineBuffer,
    logits: EngineBuffer,
    nCols: number,
    rule: DrawRule,
    fraction: number,
  ): void {
    const { pipelines, recorder } = this.#context;
    const { nCandidates, isTopK, topP, minP, temperature } = rule;
    if (nCandidates > Math.min(MAX_CANDIDATES, nCols)) assert(false, "candidates are columns");
    const from = recorder.bind(logits, 0, 4 * nCols);
    const to = recorder.bind(out, 0, 4 * (5 + 2 * nCandidates));
    const nSlices = Math.ceil(nCols / SLICE);
    const nKeys = nSlices * (1 + N_GROUPS) + MAX_CANDIDATES * GROUP;
    const keys = this.#context.scratch("draw", KEY_BYTES * nKeys);
    const rate = 1 / temperature;
    const isAll = nCandidates === 0;
    recorder
      .params()
      .u32(nCols, from.at, nSlices)
      .f32(isAll ? rate : 1);
    recorder.dispatch(pipelines.kernel(SHADERS.scan), [from, keys], nSlices);
    const params = recorder.params().u32(nCols, from.at, nSlices).f32(rate, fraction).u32(to.at);
    if (isAll) {
      recorder.dispatch(pipelines.kernel(SHADERS.all), [from, keys, to], 1);
      return;
    }
    const flags = (isTopK ? IS_TOP_K : 0) + (topP < 1 ? IS_NUCLEUS : 0);
    params.u32(nCandidates, flags).f32(topP, minP);
    recorder.dispatch(pipelines.kernel(SHADERS.top), [from, keys, to], 1);
  }
}

// Attention over cached rows: one token split over many workgroups, many tokens tile by tile.
import { assert } from "../../../errors.ts";
import type { AttendShape, EngineBuffer, LayerRows } from "../../engine.ts";
import type { Append, OpContext } from "./op-context.ts";
import { linkShader, linkTileShader } from "../device/pipelines.ts";
import type { Bound } from "../device/recorder.ts";
import {
  bindAll,
  forHeads,
  groupsOf,
  isF16,
  isSamePlace,
  longestOf,
  MAX_HEADS,
  writeHeads,
} from "./row-params.ts";
import attendDecode from "../shaders/attend/attend_decode.wgsl";
import attendMerge from "../shaders/attend/attend_merge.wgsl";
import attendPrefill from "../shaders/attend/attend_prefill.wgsl";
import attendStep from "../shaders/attend/attend_step.wgsl";
import attendReduce from "../shaders/lib/reduce/attend_reduce.wgsl";
import attendRows from "../shaders/lib/attend_rows.wgsl";
import half from "../shaders/lib/half.wgsl";
import halves from "../shaders/lib/halves.wgsl";

export const ATTEND_SHADERS = {
  decode: linkShader("attend_decode", attendDecode, attendRows, attendReduce, halves),
  step: linkShader("attend_step", attendStep, attendRows, attendReduce, halves, half),
  merge: linkShader("attend_merge", attendMerge),
  prefill: linkTileShader("attend_prefill", attendPrefill, halves),
} as const;

/** Query heads that a workgroup of attend_decode.wgsl takes at most. */
const MAX_SHARED = 4;
/** Rows that one workgroup takes alone: another dispatch costs more than the tiles in between. */
const MAX_UNSPLIT_ROWS = 640;
const ROWS_PER_SPLIT = 128;
/** attend_merge.wgsl has a lane for each. */
const MAX_SPLITS = 64;
/** Queries of a workgroup of attend_prefill.wgsl: tokens times heads of a group. */
const TILE_QUERIES = 64;

export class AttendOps {
  readonly #context: OpContext;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** As `Engine.attend`. */
  attend(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { recorder } = this.#context;
    const { nHeads, nKvHeads, headDim } = shape;
    const columns = (nHeads + 2 * nKvHeads) * headDim;
    const to = recorder.bind(out, 0, 4 * nTokens * nHeads * headDim);
    const queries = recorder.bind(qkv, 0, 4 * nTokens * columns);
    const append = this.#appendOf(qkv, rows, shape);
    if (append !== null) this.#step(to, queries, append, shape, firstPosition);
    else if (nTokens === 1) this.#decode(to, queries, rows, shape, firstPosition);
    else this.#prefill(to, queries, rows, shape, firstPosition, nTokens);
  }

  /** What waits to be appended, where attention can do it: one workgroup per kv head, all at once. */
  #appendOf(qkv: EngineBuffer, rows: LayerRows, shape: AttendShape): Append | null {
    const { append, recorder } = this.#context;
    if (append === null || append.rows !== rows || !isSamePlace(append.qkv, qkv)) return null;
    const isOne = groupsOf(shape) <= MAX_SHARED && splitsOf(rows, shape.window) === 1;
    const isWhole = isOne && shape.nKvHeads <= MAX_HEADS;
    return isWhole && recorder.undefer(append.record) ? append : null;
  }

  #step(out: Bound, qkv: Bound, append: Append, shape: AttendShape, position: number): void {
    const { recorder, pipelines } = this.#context;
    const { nHeads, nKvHeads, headDim, scale, window } = shape;
    const { rows, table, isHalfStyle } = append;
    const nGroups = groupsOf(shape);
    const angles = recorder.bind(table, 0, 4 * headDim);
    const [keys, values, positions] = this.#planes(rows, 4);
    const kernel = pipelines.kernel(ATTEND_SHADERS.step, {
      HEAD_DIM: headDim,
      N_SHARED: nGroups,
      IS_F16: Number(isF16(rows)),
      IS_SPLIT: 0,
    });
    const params = recorder.params().u32(nGroups, 1, 0, 1, qkv.at, out.at, position, window);
    params.f32(scale).u32(keys.at / 4, values.at / 4, positions.at);
    params.u32(nHeads + 2 * nKvHeads, nKvHeads, angles.at, Number(isHalfStyle));
    writeHeads(params, rows, 0, nKvHeads);
    recorder.dispatch(kernel, [angles, qkv, keys, values, positions, out], 1, nKvHeads);
  }

  #decode(out: Bound, queries: Bound, rows: LayerRows, shape: AttendShape, position: number): void {
    const { recorder, pipelines } = this.#context;
    const { nHeads, nKvHeads, headDim, scale, window } = shape;
    const nGroups = groupsOf(shape);
    const nParts = Math.ceil(nGroups / MAX_SHARED);
    const nSplits = splitsOf(rows, window);
    const parts =
      nSplits === 1
        ? out
        : this.#context.scratch("attend parts", 4 * nHeads * nSplits * (headDim + 2));
    const kernel = pipelines.kernel(ATTEND_SHADERS.decode, {
      HEAD_DIM: headDim,
      N_SHARED: Math.ceil(nGroups / nParts),
      IS_F16: Number(isF16(rows)),
      IS_SPLIT: Number(nSplits > 1),
    });
    const [keys, values, positions] = this.#planes(rows, 4);
    forHeads(nKvHeads, (first, n) => {
      const params = recorder.params();
      params.u32(nGroups, nParts, first, nSplits, queries.at, parts.at, position, window);
      params.f32(scale).u32(keys.at / 4, values.at / 4, positions.at, 0, 0, 0, 0);
      writeHeads(params, rows, first, n);
      recorder.dispatch(kernel, [queries, keys, values, positions, parts], nSplits, n * nParts);
    });
    if (nSplits === 1) return;
    recorder.params().u32(headDim, nSplits, out.at, parts.at);
    recorder.dispatch(pipelines.kernel(ATTEND_SHADERS.merge), [parts, out], nHeads);
  }

  #prefill(
    out: Bound,
    queries: Bound,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { recorder, pipelines } = this.#context;
    const { nHeads, nKvHeads, headDim, scale, window } = shape;
    const nGroups = groupsOf(shape);
    assert(queries.at % 4 === 0 && out.at % 4 === 0, "queries begin at multiples of 16 bytes");
    const kernel = pipelines.kernel(ATTEND_SHADERS.prefill, {
      HEAD_DIM: headDim,
      IS_F16: Number(isF16(rows)),
    });
    const [keys, values, positions] = this.#planes(rows, 2);
    forHeads(nKvHeads, (first, n) => {
      const params = recorder.params();
      params.u32(nGroups, nHeads, nKvHeads, first, nTokens, firstPosition, window).f32(scale);
      params.u32(queries.at / 4, out.at / 4, keys.at / 2, values.at / 2, positions.at, 0, 0, 0);
      writeHeads(params, rows, first, n);
      const nTiles = Math.ceil((nTokens * nGroups) / TILE_QUERIES);
      recorder.dispatch(kernel, [queries, keys, values, positions, out], nTiles, n);
    });
  }

  /** Keys and values of which a kernel reads `nWords` words at once, and positions. */
  #planes(rows: LayerRows, nWords: number): readonly [Bound, Bound, Bound] {
    const { recorder } = this.#context;
    return [
      bindAll(recorder, rows.keys, nWords),
      bindAll(recorder, rows.values, nWords),
      bindAll(recorder, rows.positions),
    ];
  }
}

/** Workgroups among which the rows of one kv head are divided. */
function splitsOf(rows: LayerRows, window: number): number {
  const longest = longestOf(rows);
  const nRows = window > 0 ? Math.min(window, longest) : longest;
  if (nRows <= MAX_UNSPLIT_ROWS) return 1;
  return Math.min(MAX_SPLITS, Math.ceil(nRows / ROWS_PER_SPLIT));
}

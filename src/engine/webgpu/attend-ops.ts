// Attention over cached rows: one token split over many workgroups, many tokens tile by tile.
import { assert } from "../../errors.ts";
import type { AttendShape, EngineBuffer, LayerRows } from "../engine.ts";
import type { OpContext } from "./op-context.ts";
import { linkShader, linkTileShader } from "./pipelines.ts";
import type { Bound } from "./recorder.ts";
import { bindAll, forHeads, groupsOf, isF16, longestOf, writeHeads } from "./row-params.ts";
import attendDecode from "./shaders/attend_decode.wgsl";
import attendMerge from "./shaders/attend_merge.wgsl";
import attendPrefill from "./shaders/attend_prefill.wgsl";

const SHADERS = {
  decode: linkShader("attend_decode", attendDecode),
  merge: linkShader("attend_merge", attendMerge),
  prefill: linkTileShader("attend_prefill", attendPrefill),
};

/** Query heads that a workgroup of attend_decode.wgsl takes at most. */
const MAX_SHARED = 4;
/** Rows that one workgroup takes alone: a second kernel costs as much as a few tiles. */
const MAX_UNSPLIT_ROWS = 256;
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
    if (nTokens === 1) this.#decode(to, queries, rows, shape, firstPosition);
    else this.#prefill(to, queries, rows, shape, firstPosition, nTokens);
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
    const kernel = pipelines.kernel(SHADERS.decode, {
      HEAD_DIM: headDim,
      N_SHARED: Math.ceil(nGroups / nParts),
      IS_F16: Number(isF16(rows)),
      IS_SPLIT: Number(nSplits > 1),
    });
    const [keys, values, positions] = this.#planes(rows, 4);
    forHeads(nKvHeads, (first, n) => {
      const params = recorder.params();
      params.u32(nGroups, nParts, first, nSplits, queries.at, parts.at, position, window);
      params.f32(scale).u32(keys.at / 4, values.at / 4, positions.at);
      writeHeads(params, rows, first, n);
      recorder.dispatch(kernel, [queries, keys, values, positions, parts], nSplits, n * nParts);
    });
    if (nSplits === 1) return;
    recorder.params().u32(headDim, nSplits, out.at, parts.at);
    recorder.dispatch(pipelines.kernel(SHADERS.merge), [parts, out], nHeads);
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
    const kernel = pipelines.kernel(SHADERS.prefill, {
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

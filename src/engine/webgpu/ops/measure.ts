// What methods may ask about cached rows and queries.
import { assert } from "../../../errors.ts";
import type {
  AttendShape,
  Engine,
  EngineBuffer,
  HeadShape,
  LayerRows,
  RopeShape,
  SumsLayout,
  Weight,
} from "../../engine.ts";
import { GpuBuffer } from "../device/buffers.ts";
import type { IndexLists } from "./index-lists.ts";
import type { OpContext } from "./op-context.ts";
import { type Constants, linkShader, linkTileShader, type Shader } from "../device/pipelines.ts";
import type { ProjectOps } from "./project.ts";
import type { Bound } from "../device/recorder.ts";
import { bindAll, forHeads, groupsOf, isF16, longestOf, writeHeads } from "./row-params.ts";
import doubleFloat from "../shaders/lib/double_float.wgsl";
import measuredRows from "../shaders/lib/measured_rows.wgsl";
import rowDot from "../shaders/lib/row_dot.wgsl";
import measureOutputs from "../shaders/measure/measure_outputs.wgsl";
import measureMerge from "../shaders/measure/measure_merge.wgsl";
import measureQueries from "../shaders/measure/measure_queries.wgsl";
import measureStats from "../shaders/measure/measure_stats.wgsl";
import measureSums from "../shaders/measure/measure_sums.wgsl";

const SHADERS = {
  merge: linkShader("measure_merge", measureMerge),
  queries: linkShader("measure_queries", measureQueries, doubleFloat),
  outputs: linkTileShader("measure_outputs", measureOutputs, rowDot),
};

/** Bits of `flags` in measure_stats.wgsl and measure_sums.wgsl. */
const FLAGS = { isAdded: 1, isF16: 2 } as const;
/** Queries of a workgroup of measure_stats.wgsl, tokens times heads of a group, and its rows. */
const STATS_QUERIES = 128;
const STATS_ROWS = 128;
/** Rows of a workgroup of measure_sums.wgsl, and of measure_outputs.wgsl. */
const SUMS_ROWS = 128;
const TILE_ROWS = 64;
/** Queries of a workgroup of measure_merge.wgsl, of all heads. */
const MERGE_QUERIES = 64;
/** Cells of a workgroup of measure_queries.wgsl. */
const TILE_CELLS = 256;
/** Bytes of the output weight that are dequantised at a time. */
const WEIGHT_BYTES = 1 << 22;

interface WindowShaders {
  readonly stats: Shader;
  readonly sums: Shader;
}

export class MeasureOps {
  readonly #shaders = new Map<number, WindowShaders>();
  readonly #context: OpContext;
  readonly #lists: IndexLists;
  readonly #project: ProjectOps;

  constructor(context: OpContext, lists: IndexLists, project: ProjectOps) {
    this.#context = context;
    this.#lists = lists;
    this.#project = project;
  }

  /** As `Engine.measureWindow`. */
  measureWindow(
    out: EngineBuffer,
    queries: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nQueries: number,
    layout?: SumsLayout,
  ): void {
    const { recorder, pipelines } = this.#context;
    const { nHeads, nKvHeads, headDim, scale, window } = shape;
    const nGroups = groupsOf(shape);
    const nRows = longestOf(rows);
    const { stride, isAdded } = layout ?? { stride: nRows, isAdded: false };
    if (stride < nRows) assert(false, `${nRows} rows fit a stride of ${stride}`);
    const to = recorder.bind(out, 0, 4 * nHeads * stride);
    const x = recorder.bind(queries, 0, 4 * nQueries * (nHeads + 2 * nKvHeads) * headDim);
    assert(x.at % 4 === 0, "queries begin at multiples of 16 bytes");
    const nSplits = Math.ceil(nRows / STATS_ROWS);
    const stats = this.#context.scratch("query stats", 8 * nHeads * nQueries * nSplits);
    const merged = this.#context.scratch("merged query stats", 8 * nHeads * nQueries);
    const keys = bindAll(recorder, rows.keys, 2);
    const positions = bindAll(recorder, rows.positions);
    const flags = (isAdded ? FLAGS.isAdded : 0) | (isF16(rows) ? FLAGS.isF16 : 0);
    const write = (first: number, n: number, statsAt: number): void => {
      const params = recorder.params();
      params.u32(nGroups, nKvHeads, headDim, first, nQueries, firstPosition, window).f32(scale);
      params.u32(x.at / 4, keys.at / 2, positions.at, statsAt / 2, to.at, stride);
      params.u32(flags, nSplits);
      writeHeads(params, rows, first, n);
    };
    const shaders = this.#windowShaders(headDim);
    forHeads(nKvHeads, (first, n) => {
      write(first, n, stats.at);
      const buffers = [x, keys, positions, stats];
      const nTiles = Math.ceil((nQueries * nGroups) / STATS_QUERIES);
      recorder.dispatch(pipelines.kernel(shaders.stats), buffers, nTiles, n, nSplits);
    });
    recorder.params().u32(nHeads * nQueries, nSplits, stats.at / 2, merged.at / 2);
    const nMerged = Math.ceil((nHeads * nQueries) / MERGE_QUERIES);
    recorder.dispatch(pipelines.kernel(SHADERS.merge), [stats, merged], nMerged);
    forHeads(nKvHeads, (first, n) => {
      write(first, n, merged.at);
      const buffers = [x, keys, positions, merged, to];
      const nTiles = Math.ceil(stride / SUMS_ROWS);
      recorder.dispatch(pipelines.kernel(shaders.sums), buffers, nTiles, n * nGroups);
    });
  }

  /** A lane holds a whole key or query: how long they are is part of the text. */
  #windowShaders(headDim: number): WindowShaders {
    let found = this.#shaders.get(headDim);
    if (found === undefined) {
      const size = measuredRows.replace(/(const N_QUADS = )\d+/, `$1${headDim / 4}`);
      found = {
        stats: linkTileShader("measure_stats", measureStats, size),
        sums: linkTileShader("measure_sums", measureSums, size),
      };
      this.#shaders.set(headDim, found);
    }
    return found;
  }

  /** As `Engine.measureQueries`. */
  measureQueries(
    sums: EngineBuffer,
    queries: EngineBuffer,
    table: EngineBuffer,
    { nHeads, nKvHeads, headDim, ropeStyle }: RopeShape,
    nQueries: number,
  ): void {
    const { recorder, pipelines } = this.#context;
    const nColumns = nHeads + 2 * nKvHeads;
    const nCells = headDim * (1 + headDim);
    const to = recorder.bind(sums, 0, 8 * nHeads * nCells);
    assert(to.at % 2 === 0, "sums begin at a multiple of 8 bytes");
    const x = recorder.bind(queries, 0, 4 * nQueries * nColumns * headDim);
    const angles = recorder.bind(table, 0, 4 * nQueries * headDim);
    const kernel = pipelines.kernel(SHADERS.queries);
    const style = Number(ropeStyle === "half");
    recorder.params().u32(nColumns, nQueries, x.at, angles.at, to.at / 2, headDim, style, 0);
    recorder.dispatch(kernel, [x, angles, to], Math.ceil(nCells / TILE_CELLS), nHeads);
  }

  /** As `Engine.measureOutputs`. */
  measureOutputs(out: EngineBuffer, rows: LayerRows, weight: Weight, shape: HeadShape): void {
    const { nCols, nRows: nOutputs } = weight;
    const { nHeads, headDim } = shape;
    assert(nCols === nHeads * headDim, `"${weight.label}" takes ${nHeads} heads`);
    const stride = longestOf(rows);
    const to = this.#context.recorder.bind(out, 0, 4 * nHeads * stride);
    const atOnce = Math.min(nOutputs, Math.max(1, Math.floor(WEIGHT_BYTES / (4 * nCols))));
    const byteLength = 4 * atOnce * nCols;
    const { allocation, byteOffset } = this.#context.scratch("output weight", byteLength);
    const plain = new GpuBuffer("output weight", allocation, byteOffset, byteLength, true);
    for (let first = 0; first < nOutputs; first += atOnce) {
      const n = Math.min(atOnce, nOutputs - first);
      const list = Uint32Array.from({ length: n }, (_, i) => first + i);
      const { bound, offsets } = this.#lists.put([list]);
      const at = bound.byteOffset + 4 * (offsets[0] ?? 0);
      const indices = new GpuBuffer("output rows", bound.allocation, at, 4 * n, true);
      this.#project.embed(plain, weight, indices, n, 1);
      const some = this.#context.recorder.bind(plain, 0, 4 * n * nCols);
      this.#addNorms(to, rows, some, shape, n, first > 0);
    }
  }

  #addNorms(
    to: Bound,
    rows: LayerRows,
    weight: Bound,
    shape: HeadShape,
    nOutputs: number,
    isAdded: boolean,
  ): void {
    const { recorder, pipelines } = this.#context;
    const { nHeads, nKvHeads } = shape;
    const nGroups = groupsOf(shape);
    const values = bindAll(recorder, rows.values, 2);
    const kernel = pipelines.kernel(SHADERS.outputs, constantsOf(rows));
    const stride = longestOf(rows);
    forHeads(nKvHeads, (first, n) => {
      const params = recorder.params().u32(nGroups, nHeads, first, nOutputs);
      params.u32(values.at / 2, weight.at / 4, to.at, stride, Number(isAdded), 0, 0, 0);
      writeHeads(params, rows, first, n);
      const nTiles = Math.ceil(stride / TILE_ROWS);
      recorder.dispatch(kernel, [values, weight, to], nTiles, n * nGroups);
    });
  }
}

function constantsOf(rows: LayerRows): Constants {
  return { HEAD_DIM: rows.headDim, IS_F16: Number(isF16(rows)) };
}

/** As `Engine.readQuerySums`: the kernel keeps (high, low) parts in f32. */
export async function readDoubles(
  engine: Pick<Engine, "read">,
  sums: EngineBuffer,
  n: number,
): Promise<Float64Array> {
  const bytes = await engine.read(sums, 0, 8 * n);
  const parts = new Float32Array(bytes.buffer, bytes.byteOffset, 2 * n);
  return Float64Array.from({ length: n }, (_, i) => (parts[2 * i] ?? 0) + (parts[2 * i + 1] ?? 0));
}

// Operations that write cached rows: rotate and append, gather, compact, rotate again.
import { assert } from "../../../errors.ts";
import type { EngineBuffer, LayerRows, Norm, RopeFrequencies, RopeShape } from "../../engine.ts";
import { liveBuffer, rangeOf } from "../device/buffers.ts";
import type { IndexLists } from "./index-lists.ts";
import type { OpContext } from "./op-context.ts";
import { linkShader } from "../device/pipelines.ts";
import type { Bound } from "../device/recorder.ts";
import { type FrequenciesOf, FrequencyTables } from "./rope-frequencies.ts";
import {
  bindAll,
  checkRoom,
  forHeads,
  groupsOf,
  isF16,
  isSamePlace,
  longestOf,
  rowWords,
  writeHeads,
} from "./row-params.ts";
import compactRows from "../shaders/rows/compact_rows.wgsl";
import gatherRows from "../shaders/rows/gather_rows.wgsl";
import half from "../shaders/lib/half.wgsl";
import turns from "../shaders/lib/turns.wgsl";
import ropeAppend from "../shaders/rows/rope_append.wgsl";
import ropeTable from "../shaders/rows/rope_table.wgsl";
import rotateRows from "../shaders/rows/rotate_rows.wgsl";

const SHADERS = {
  ropeTable: linkShader("rope_table", ropeTable, turns),
  ropeAppend: linkShader("rope_append", ropeAppend, half),
  gatherRows: linkShader("gather_rows", gatherRows, half),
  compactRows: linkShader("compact_rows", compactRows),
  rotateRows: linkShader("rotate_rows", rotateRows, turns, half),
};

/** What gather_rows.wgsl does with a plane. */
const RECODE = { copy: 0, toHalf: 1, fromHalf: 2 } as const;
/** Bits of `flags` in rope_append.wgsl. */
const FLAGS = { isF16: 1, isHalfStyle: 2, hasQNorm: 4, hasKNorm: 8 } as const;
/** Lanes of a workgroup in the kernels of this file. */
const LANES = 64;
/** Workgroups along one axis of a dispatch; every device takes 65,535. */
const MAX_WORKGROUPS = 32768;
/** Of a gather, for each head: threads take several cells beyond that. */
const MAX_GATHER_WORKGROUPS = 1024;

export class RowOps {
  readonly #context: OpContext;
  readonly #lists: IndexLists;
  readonly #frequencies: FrequencyTables;

  constructor(context: OpContext, lists: IndexLists, frequenciesOf: FrequenciesOf) {
    this.#context = context;
    this.#lists = lists;
    this.#frequencies = new FrequencyTables(context, frequenciesOf);
  }

  /** As `Engine.ropeTable`. */
  ropeTable(
    out: EngineBuffer,
    frequencies: RopeFrequencies,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { recorder, pipelines } = this.#context;
    const nPairs = frequencies.headDim / 2;
    const to = recorder.bind(out, 0, 4 * nTokens * frequencies.headDim);
    const buffers = [this.#frequencies.get(frequencies), to];
    const kernel = pipelines.kernel(SHADERS.ropeTable);
    for (let first = 0; first < nTokens; first += MAX_WORKGROUPS) {
      const n = Math.min(MAX_WORKGROUPS, nTokens - first);
      const at = to.at + first * frequencies.headDim;
      recorder.params().u32(nPairs, firstPosition + first, n, at);
      recorder.dispatch(kernel, buffers, Math.ceil(nPairs / LANES), n);
    }
  }

  /** As `Engine.ropeAppend`. */
  ropeAppend(
    qkv: EngineBuffer,
    rows: LayerRows,
    table: EngineBuffer,
    shape: RopeShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    checkRoom(rows, nTokens);
    groupsOf(shape);
    const { ropeStyle, qNorm, kNorm } = shape;
    if (nTokens === 1 && qNorm === undefined && kNorm === undefined) {
      const start = Uint32Array.from(rows.length);
      const before = { ...rows, length: start };
      const record = (): void => this.#append(qkv, before, table, shape, firstPosition, 1);
      const isHalfStyle = ropeStyle === "half";
      this.#context.append = { qkv, rows, table, isHalfStyle, record };
      this.#context.recorder.defer(record);
    } else {
      this.#append(qkv, rows, table, shape, firstPosition, nTokens);
    }
    for (let head = 0; head < shape.nKvHeads; head++) {
      rows.length[head] = (rows.length[head] ?? 0) + nTokens;
    }
  }

  #append(
    qkv: EngineBuffer,
    rows: LayerRows,
    table: EngineBuffer,
    { nHeads, nKvHeads, headDim, ropeStyle, qNorm, kNorm }: RopeShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { recorder, pipelines } = this.#context;
    const columns = (nHeads + 2 * nKvHeads) * headDim;
    const x = recorder.bind(qkv, 0, 4 * nTokens * columns);
    const angles = recorder.bind(table, 0, 4 * nTokens * headDim);
    const [qWeight, kWeight] = [
      this.#norm(qNorm, headDim, angles),
      this.#norm(kNorm, headDim, angles),
    ];
    const [keys, values, positions] = this.#planes(rows);
    const kernel = pipelines.kernel(SHADERS.ropeAppend);
    const flags =
      (isF16(rows) ? FLAGS.isF16 : 0) |
      (ropeStyle === "half" ? FLAGS.isHalfStyle : 0) |
      (qNorm === undefined ? 0 : FLAGS.hasQNorm) |
      (kNorm === undefined ? 0 : FLAGS.hasKNorm);
    forHeads(nKvHeads, (first, n) => {
      const nQueries = first === 0 ? nHeads : 0;
      const params = recorder.params();
      params.u32(nHeads, nKvHeads, first, headDim, flags, firstPosition, x.at, angles.at);
      params.u32(qWeight.at, kWeight.at).f32(qNorm?.eps ?? 0, kNorm?.eps ?? 0);
      params.u32(keys.at, values.at, positions.at, nQueries);
      writeHeads(params, rows, first, n);
      const buffers = [angles, qWeight, kWeight, x, keys, values, positions];
      recorder.dispatch(kernel, buffers, nQueries + 2 * n, nTokens);
    });
  }

  /** As `Engine.gatherRows`. */
  gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
    checkKeep(dst, src, keep);
    if (isSamePlace(dst.keys, src.keys)) this.#compact(dst, keep);
    else this.#gather(dst, src, keep);
    keep.forEach((list, head) => (dst.length[head] = list.length));
  }

  /** As `Engine.rotateRows`. */
  rotateRows(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    frequencies: RopeFrequencies,
    ropeStyle: RopeShape["ropeStyle"],
  ): void {
    const { recorder, pipelines } = this.#context;
    assert(targets.length === rows.nKvHeads, "one list of positions per kv head");
    targets.forEach((list, head) => {
      assert(list.length === rows.length[head], `head ${head} has a position for each row`);
    });
    const { bound, offsets } = this.#lists.put(targets);
    const [keys] = this.#planes(rows);
    const positions = this.#positionsBeside(keys, rows);
    const kernel = pipelines.kernel(SHADERS.rotateRows);
    const how = [rows.headDim, Number(isF16(rows)), Number(ropeStyle === "half"), 0, 0];
    const buffers = [this.#frequencies.get(frequencies), positions, bound, keys];
    const longest = longestOf(rows);
    for (let firstRow = 0; firstRow < longest; firstRow += MAX_WORKGROUPS) {
      forHeads(rows.nKvHeads, (first, n) => {
        const params = recorder.params().u32(keys.at, positions.at, firstRow, ...how);
        for (let head = first; head < first + n; head++) {
          const length = rows.length[head] ?? 0;
          params.u32(rows.start[head] ?? 0, length, offsets[head] ?? 0, 0);
        }
        const nRows = Math.min(MAX_WORKGROUPS, longest - firstRow);
        recorder.dispatch(kernel, buffers, nRows, n);
      });
    }
    this.#writePositions(rows, targets, bound, offsets);
  }

  /** The positions, out of the buffer of `keys`: no buffer is read and written at once. */
  #positionsBeside(keys: Bound, { positions }: LayerRows): Bound {
    const bound = bindAll(this.#context.recorder, positions);
    if (bound.allocation !== keys.allocation) return bound;
    const copied = this.#context.scratch("positions", positions.byteLength);
    const from = rangeOf(positions, 0, positions.byteLength);
    this.#context.recorder.copy(
      ...([copied.allocation, copied.byteOffset + 4 * copied.at, keys.allocation, from] as const),
      positions.byteLength,
    );
    return copied;
  }

  #writePositions(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    from: Bound,
    offsets: readonly number[],
  ): void {
    const { allocation } = liveBuffer(rows.positions);
    targets.forEach((list, head) => {
      const byteLength = 4 * list.length;
      const to = rangeOf(rows.positions, 4 * (rows.start[head] ?? 0), byteLength);
      const at = from.byteOffset + 4 * (offsets[head] ?? 0);
      this.#context.recorder.copy(allocation, to, from.allocation, at, byteLength);
    });
  }

  #compact(rows: LayerRows, keep: readonly Uint32Array[]): void {
    const { recorder, pipelines } = this.#context;
    const firstMoved = keep.map((list) => {
      const first = list.findIndex((row, i) => row !== i);
      return first < 0 ? list.length : first;
    });
    if (keep.every((list, head) => firstMoved[head] === list.length)) return;
    const { bound, offsets } = this.#lists.put(keep);
    const [keys, values, positions] = this.#planes(rows);
    const kernel = pipelines.kernel(SHADERS.compactRows);
    forHeads(rows.nKvHeads, (first, n) => {
      const params = recorder.params().u32(rowWords(rows), keys.at, values.at, positions.at);
      for (let head = first; head < first + n; head++) {
        const [start, moved] = [rows.start[head] ?? 0, firstMoved[head] ?? 0];
        params.u32(start, moved, offsets[head] ?? 0, keep[head]?.length ?? 0);
      }
      recorder.dispatch(kernel, [bound, keys, values, positions], 3, n);
    });
  }

  #gather(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
    const [fromHalf, toHalf] = [isF16(src), isF16(dst)];
    const { bound, offsets } = this.#lists.put(keep);
    const places = keep.map((list, head) => [
      ...[src.start[head] ?? 0, dst.start[head] ?? 0],
      ...[offsets[head] ?? 0, list.length],
    ]);
    const isCopied = fromHalf === toHalf;
    const recode = isCopied ? RECODE.copy : toHalf ? RECODE.toHalf : RECODE.fromHalf;
    const nWords = isCopied ? rowWords(dst) : dst.headDim / 2;
    const [srcKeys, srcValues, srcPositions] = this.#planes(src);
    const [dstKeys, dstValues, dstPositions] = this.#planes(dst);
    // One plane a dispatch: all three of `dst` may lie in one buffer, which is bound once only.
    this.#gatherPlane([srcKeys, bound, dstKeys], recode, nWords, places);
    this.#gatherPlane([srcValues, bound, dstValues], recode, nWords, places);
    this.#gatherPlane([srcPositions, bound, dstPositions], RECODE.copy, 1, places);
  }

  /** @param places Per head: start in `from`, start in `to`, place and length of its list. */
  #gatherPlane(
    [from, list, to]: readonly [Bound, Bound, Bound],
    recode: number,
    nWords: number,
    places: readonly (readonly number[])[],
  ): void {
    const { recorder, pipelines } = this.#context;
    const kernel = pipelines.kernel(SHADERS.gatherRows, { RECODE: recode });
    const longest = places.reduce((most, [, , , n = 0]) => Math.max(most, n), 0);
    const nGroups = Math.min(MAX_GATHER_WORKGROUPS, Math.ceil((longest * nWords) / LANES));
    forHeads(places.length, (first, n) => {
      const params = recorder.params().u32(nWords, from.at, to.at, nGroups);
      for (const place of places.slice(first, first + n)) params.u32(...place);
      recorder.dispatch(kernel, [from, list, to], nGroups, n);
    });
  }

  /** Keys, values and positions. */
  #planes(rows: LayerRows): readonly [Bound, Bound, Bound] {
    const { recorder } = this.#context;
    const { keys, values, positions } = rows;
    return [bindAll(recorder, keys), bindAll(recorder, values), bindAll(recorder, positions)];
  }

  /** `any` where there is no norm: a binding cannot be left out. */
  #norm(norm: Norm | undefined, headDim: number, any: Bound): Bound {
    if (norm === undefined) return any;
    const { weight } = norm;
    assert(weight.byteLength === 4 * headDim, `"${weight.label}" fits the heads`);
    return this.#context.recorder.bind(weight, 0, weight.byteLength);
  }
}

function checkKeep(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
  assert(keep.length === src.nKvHeads && keep.length === dst.nKvHeads, "one keep list per kv head");
  assert(src.headDim === dst.headDim, "gathered rows are of one size");
  keep.forEach((list, head) => {
    const [length, capacity] = [src.length[head] ?? 0, dst.capacity[head] ?? 0];
    if (list.length > capacity) {
      assert(false, `head ${head} keeps ${list.length} rows of ${capacity}`);
    }
    for (let i = 0; i < list.length; i++) {
      const row = list[i] ?? 0;
      if (row >= length) assert(false, `head ${head} keeps row ${row} of ${length}`);
      if (i > 0 && row <= (list[i - 1] ?? 0)) {
        assert(false, `head ${head} keeps rows that do not ascend`);
      }
    }
  });
}

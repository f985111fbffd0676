// The ops on cache rows: append, attend, measure, gather.
import { assert } from "../../errors.ts";
import type {
  AttendShape,
  EngineBuffer,
  LayerRows,
  Norm,
  RopeShape,
  SumsLayout,
} from "../engine.ts";
import {
  codecId,
  headPointer,
  liveBuffer,
  pointer,
  positionsPointer,
  rowBytes,
} from "./buffers.ts";
import type { Kernels } from "./kernels.ts";
import type { Arena } from "./memory.ts";
import { HEADS_AT, JOB, TOKENS_PER_CHUNK, WORDS_PER_HEAD } from "./pool/jobs.ts";
import type { OpScratch } from "./op-scratch.ts";
import type { Pool } from "./pool/pool.ts";

export class RowOps {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;
  /** null: one thread. */
  pool: Pool | null = null;

  constructor(kernels: Kernels, arena: Arena, scratch: OpScratch) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#scratch = scratch;
  }

  ropeAppend(
    qkv: EngineBuffer,
    rows: LayerRows,
    table: EngineBuffer,
    shape: RopeShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { nHeads, nKvHeads, headDim } = shape;
    const stride = (nHeads + 2 * nKvHeads) * headDim;
    const x = pointer(qkv, 0, 4 * nTokens * stride);
    const angles = pointer(table, 0, 4 * nTokens * headDim);
    const kColumn = nHeads * headDim;
    const style = shape.ropeStyle === "interleaved" ? 0 : 1;
    const { qNorm, kNorm } = shape;
    const k = this.#kernels;
    const qWeight = normPointer(qNorm, headDim);
    const kWeight = normPointer(kNorm, headDim);
    const [qEps, kEps] = [qNorm?.eps ?? 0, kNorm?.eps ?? 0];
    for (let head = 0; head < nKvHeads; head++) checkRoom(rows, head, nTokens);
    k.norm_rotate(x, nTokens, stride, 0, nHeads, headDim, angles, style, qWeight, qEps);
    k.norm_rotate(x, nTokens, stride, kColumn, nKvHeads, headDim, angles, style, kWeight, kEps);
    for (let head = 0; head < nKvHeads; head++) {
      this.#append(x, stride, kColumn + head * headDim, rows, head, firstPosition, nTokens);
    }
  }

  /** Adds one head's keys (at `column` of x) and values to its rows. */
  #append(
    x: number,
    stride: number,
    column: number,
    rows: LayerRows,
    head: number,
    firstPosition: number,
    nTokens: number,
  ): void {
    const length = rows.length[head] ?? 0;
    const { headDim, nKvHeads } = rows;
    const codec = codecId(rows);
    const offset = length * rowBytes(rows);
    const keys = headPointer(rows, rows.keys, head) + offset;
    const values = headPointer(rows, rows.values, head) + offset;
    const vColumn = column + nKvHeads * headDim;
    this.#kernels.append_rows(codec, keys, x, nTokens, stride, column, headDim);
    this.#kernels.append_rows(codec, values, x, nTokens, stride, vColumn, headDim);
    const positions = positionsPointer(rows, head) / 4 + length;
    const u32 = this.#arena.u32;
    for (let i = 0; i < nTokens; i++) u32[positions + i] = firstPosition + i;
    rows.length[head] = length + nTokens;
  }

  attend(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { nHeads, nKvHeads, headDim } = shape;
    const nGroups = nHeads / nKvHeads;
    const outStride = nHeads * headDim;
    const qStride = (nHeads + 2 * nKvHeads) * headDim;
    const to = pointer(out, 0, 4 * nTokens * outStride);
    const q = pointer(qkv, 0, 4 * nTokens * qStride);
    const { pool } = this;
    if (pool !== null) {
      this.#attendByPool(pool, to, q, rows, shape, firstPosition, nTokens);
      return;
    }
    const workBytes = 4 * this.#kernels.attend_scratch_len(nTokens * nGroups, headDim);
    this.#scratch.begin(workBytes, 1);
    const work = this.#scratch.take(workBytes);
    const codec = codecId(rows);
    for (let head = 0; head < nKvHeads; head++) {
      const column = head * nGroups * headDim;
      this.#kernels.attend_head(
        codec,
        to,
        outStride,
        column,
        q,
        qStride,
        column,
        nTokens,
        nGroups,
        headDim,
        headPointer(rows, rows.keys, head),
        headPointer(rows, rows.values, head),
        positionsPointer(rows, head),
        rows.length[head] ?? 0,
        firstPosition,
        shape.scale,
        shape.window,
        work,
      );
    }
  }

  #attendByPool(
    pool: Pool,
    out: number,
    q: number,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
  ): void {
    const { nHeads, nKvHeads, headDim } = shape;
    const nGroups = nHeads / nKvHeads;
    const nAtOnce = Math.min(nTokens, TOKENS_PER_CHUNK) * nGroups;
    const workBytes = 4 * this.#kernels.attend_scratch_len(nAtOnce, headDim);
    this.#scratch.begin(workBytes * pool.nThreads, 1);
    const { i32, f32 } = pool.args;
    i32[0] = codecId(rows);
    i32[1] = out;
    i32[2] = nHeads * headDim;
    i32[3] = q;
    i32[4] = (nHeads + 2 * nKvHeads) * headDim;
    i32[5] = nTokens;
    i32[6] = nGroups;
    i32[7] = headDim;
    i32[8] = firstPosition;
    f32[9] = shape.scale;
    i32[10] = shape.window;
    i32[11] = this.#scratch.take(workBytes * pool.nThreads);
    i32[12] = workBytes;
    for (let head = 0; head < nKvHeads; head++) {
      const at = HEADS_AT + WORDS_PER_HEAD * head;
      i32[at] = headPointer(rows, rows.keys, head);
      i32[at + 1] = headPointer(rows, rows.values, head);
      i32[at + 2] = positionsPointer(rows, head);
      i32[at + 3] = rows.length[head] ?? 0;
    }
    pool.run(JOB.attend, nKvHeads * Math.ceil(nTokens / TOKENS_PER_CHUNK));
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
    const { nHeads, nKvHeads, headDim } = shape;
    const nGroups = nHeads / nKvHeads;
    const nRows = Math.max(...rows.length);
    const { stride, isAdded } = layout ?? { stride: nRows, isAdded: false };
    if (stride < nRows) assert(false, `${nRows} rows fit a stride of ${stride}`);
    const qStride = (nHeads + 2 * nKvHeads) * headDim;
    const to = pointer(out, 0, 4 * nHeads * stride);
    const q = pointer(queries, 0, 4 * nQueries * qStride);
    const workBytes = 4 * this.#kernels.measure_scratch_len(nRows, headDim);
    this.#scratch.begin(workBytes, 1);
    const work = this.#scratch.take(workBytes);
    if (!isAdded) this.#arena.f32.fill(0, to / 4, to / 4 + nHeads * stride);
    const codec = codecId(rows);
    for (let head = 0; head < nKvHeads; head++) {
      this.#kernels.measure_window_head(
        codec,
        to + 4 * head * nGroups * stride,
        stride,
        q,
        qStride,
        head * nGroups * headDim,
        nQueries,
        nGroups,
        headDim,
        headPointer(rows, rows.keys, head),
        positionsPointer(rows, head),
        rows.length[head] ?? 0,
        firstPosition,
        shape.scale,
        shape.window,
        work,
      );
    }
  }

  gatherRows(dst: LayerRows, src: LayerRows, keep: readonly Uint32Array[]): void {
    const [to, from] = [codecId(dst), codecId(src)];
    let longest = 0;
    for (const list of keep) longest = Math.max(longest, list.length);
    this.#scratch.begin(4 * longest, 1);
    const list = this.#scratch.take(4 * longest);
    const { headDim } = dst;
    keep.forEach((kept, head) => {
      const n = kept.length;
      if (n > (dst.capacity[head] ?? 0)) assert(false, `head ${head} has room for ${n} rows`);
      if (n > 0 && (kept[n - 1] ?? 0) >= (src.length[head] ?? 0)) {
        assert(false, `row ${kept[n - 1]} of head ${head} exists`);
      }
      this.#arena.u32.set(kept, list / 4);
      const gather = (a: EngineBuffer, b: EngineBuffer): void => {
        const [dstPtr, srcPtr] = [headPointer(dst, a, head), headPointer(src, b, head)];
        this.#kernels.gather_rows(to, dstPtr, from, srcPtr, list, n, headDim);
      };
      gather(dst.keys, src.keys);
      gather(dst.values, src.values);
      const [dstPtr, srcPtr] = [positionsPointer(dst, head), positionsPointer(src, head)];
      this.#kernels.gather_rows(0, dstPtr, 0, srcPtr, list, n, 1);
      dst.length[head] = n;
    });
  }
}

function checkRoom(rows: LayerRows, head: number, nTokens: number): void {
  const [length, capacity] = [rows.length[head] ?? 0, rows.capacity[head] ?? 0];
  if (length + nTokens > capacity) {
    assert(false, `head ${head} has room for ${nTokens} rows: ${length} of ${capacity} taken`);
  }
}

function normPointer(norm: Norm | undefined, headDim: number): number {
  if (norm === undefined) return 0;
  if (norm.weight.byteLength !== 4 * headDim) assert(false, `${norm.weight.label} fits the heads`);
  return liveBuffer(norm.weight).ptr;
}

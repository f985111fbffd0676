// The ops that move cache rows: append and gather. Those that read them all are in attend-ops.ts.
import { assert } from "../../errors.ts";
import type { EngineBuffer, LayerRows, Norm, RopeShape } from "../engine.ts";
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
import type { OpScratch } from "./op-scratch.ts";

export class RowOps {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;

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

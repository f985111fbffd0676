// The ops that read all rows of a layer: attention, and the attention that methods measure. Each is a
// job of chunks (pool/jobs.ts), which the pool's threads share, or this thread runs one by one.
import { assert } from "../../errors.ts";
import type { AttendShape, EngineBuffer, LayerRows, SumsLayout } from "../engine.ts";
import { codecId, headPointer, pointer, positionsPointer } from "./buffers.ts";
import type { Kernels } from "./kernels.ts";
import type { Arena } from "./memory.ts";
import type { OpScratch } from "./op-scratch.ts";
import { ARGUMENT_WORDS } from "./pool/control.ts";
import {
  ATTEND,
  HEADS_AT,
  JOB,
  type JobArguments,
  runAlone,
  TOKENS_PER_CHUNK,
  TURN,
  WORDS_PER_HEAD,
} from "./pool/jobs.ts";
import type { Pool } from "./pool/pool.ts";

/** Weights of a part that are kept for the column sums: they should stay in the second cache. */
const KEPT_WEIGHTS = 1 << 18;
/** Fewest tokens of such a part: each re-lays all keys and values. */
const MIN_KEPT_TOKENS = 8;

/** Most query heads of a kv head whose splits can be merged. */
const MAX_GROUPS = 64;

export class AttendOps {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;
  readonly #ownArgs: JobArguments;
  readonly #splitRows: number;
  /** null: one thread. */
  pool: Pool | null = null;

  constructor(kernels: Kernels, arena: Arena, scratch: OpScratch) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#scratch = scratch;
    this.#splitRows = kernels.split_rows();
    const words = new ArrayBuffer(4 * ARGUMENT_WORDS);
    this.#ownArgs = { i32: new Int32Array(words), f32: new Float32Array(words) };
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
    const to = pointer(out, 0, 4 * nTokens * nHeads * headDim);
    const isLong = nTokens === 1 && Math.max(...rows.length) > this.#splitRows;
    if (this.pool !== null && isLong && nHeads <= MAX_GROUPS * nKvHeads) {
      this.#attendBySplits(to, qkv, rows, shape, firstPosition);
      return;
    }
    // One thread lays out a head's rows once for all tokens.
    const nPart = this.pool === null ? nTokens : Math.min(nTokens, TOKENS_PER_CHUNK);
    const nQueries = nPart * (nHeads / nKvHeads);
    const workBytes = 4 * this.#kernels.attend_scratch_len(nQueries, headDim);
    const { i32 } = this.#begin(qkv, rows, shape, firstPosition, nTokens, workBytes);
    i32[ATTEND.out] = to;
    i32[ATTEND.tokensPerPart] = nPart;
    this.#run(JOB.attend, nKvHeads * Math.ceil(nTokens / nPart));
  }

  /** One token: threads share the rows of every head, and this one merges what they leave. */
  #attendBySplits(
    to: number,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
  ): void {
    const { nHeads, nKvHeads, headDim } = shape;
    const nGroups = nHeads / nKvHeads;
    const nSplits = Array.from(rows.length, (n) => Math.ceil(n / this.#splitRows));
    const nChunks = nSplits.reduce((sum, n) => sum + n, 0);
    const splitBytes = 4 * this.#kernels.split_len(nGroups, headDim);
    const workBytes = 4 * this.#kernels.attend_scratch_len(nGroups, headDim);
    const { i32 } = this.#begin(qkv, rows, shape, firstPosition, 1, workBytes, {
      extraBytes: nChunks * splitBytes,
    });
    const splits = this.#scratch.take(nChunks * splitBytes);
    i32[ATTEND.splits] = splits;
    i32[ATTEND.splitBytes] = splitBytes;
    const turns = HEADS_AT + TURN;
    let first = 0;
    nSplits.forEach((n, head) => {
      i32[turns + WORDS_PER_HEAD * head] = first;
      first += n;
    });
    i32[turns + WORDS_PER_HEAD * nKvHeads] = first; // where a head after the last would begin
    this.#run(JOB.attendSplit, nChunks);
    let at = splits;
    nSplits.forEach((n, head) => {
      const own = to + 4 * head * nGroups * headDim;
      this.#kernels.merge_splits_head(own, at, n, nGroups, headDim);
      at += n * splitBytes;
    });
  }

  attendAndSum(
    out: EngineBuffer,
    qkv: EngineBuffer,
    rows: LayerRows,
    shape: AttendShape,
    firstPosition: number,
    nTokens: number,
    sums: EngineBuffer,
    layout: SumsLayout,
  ): void {
    const { nHeads, nKvHeads, headDim } = shape;
    const nGroups = nHeads / nKvHeads;
    const to = pointer(out, 0, 4 * nTokens * nHeads * headDim);
    const nRows = Math.max(...rows.length);
    const sumsAt = this.#openSums(sums, nHeads, nRows, layout);
    const nFit = Math.floor(KEPT_WEIGHTS / (Math.max(1, nRows) * nGroups));
    const nPart = Math.min(nTokens, TOKENS_PER_CHUNK, Math.max(MIN_KEPT_TOKENS, nFit));
    const workBytes = 4 * this.#kernels.kept_scratch_len(nPart * nGroups, headDim, nRows);
    const { i32 } = this.#begin(qkv, rows, shape, firstPosition, nTokens, workBytes);
    i32[ATTEND.out] = to;
    i32[ATTEND.tokensPerPart] = nPart;
    i32[ATTEND.sums] = sumsAt;
    i32[ATTEND.sumsStride] = layout.stride;
    this.#run(JOB.attendAndSum, nKvHeads * Math.ceil(nTokens / nPart));
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
    const nRows = Math.max(...rows.length);
    const used = layout ?? { stride: nRows, isAdded: false };
    const to = this.#openSums(out, nHeads, nRows, used);
    const workBytes = 4 * this.#kernels.measure_scratch_len(nRows, headDim);
    const { i32 } = this.#begin(queries, rows, shape, firstPosition, nQueries, workBytes);
    i32[ATTEND.sums] = to;
    i32[ATTEND.sumsStride] = used.stride;
    this.#run(JOB.measureWindow, nKvHeads);
  }

  /** @returns Where the sums lie, zeros unless they are added to. */
  #openSums(sums: EngineBuffer, nHeads: number, nRows: number, layout: SumsLayout): number {
    const { stride, isAdded } = layout;
    if (stride < nRows) assert(false, `${nRows} rows fit a stride of ${stride}`);
    const to = pointer(sums, 0, 4 * nHeads * stride);
    if (!isAdded) this.#arena.f32.fill(0, to / 4, to / 4 + nHeads * stride);
    return to;
  }

  /** The arguments that all jobs on rows share; `workBytes` of scratch for each thread, and for the caller. */
  #begin(
    qkv: EngineBuffer,
    rows: LayerRows,
    { nHeads, nKvHeads, headDim, scale, window }: AttendShape,
    firstPosition: number,
    nTokens: number,
    workBytes: number,
    { extraBytes = 0 } = {},
  ): JobArguments {
    const stride = (nHeads + 2 * nKvHeads) * headDim;
    const q = pointer(qkv, 0, 4 * nTokens * stride);
    const scratchBytes = workBytes * (this.pool?.nThreads ?? 1);
    this.#scratch.begin(scratchBytes + extraBytes, 2);
    const args = this.pool?.args ?? this.#ownArgs;
    const { i32, f32 } = args;
    i32[ATTEND.codec] = codecId(rows);
    i32[ATTEND.outStride] = nHeads * headDim;
    i32[ATTEND.q] = q;
    i32[ATTEND.qStride] = stride;
    i32[ATTEND.nTokens] = nTokens;
    i32[ATTEND.nKvHeads] = nKvHeads;
    i32[ATTEND.nGroups] = nHeads / nKvHeads;
    i32[ATTEND.headDim] = headDim;
    i32[ATTEND.firstPosition] = firstPosition;
    f32[ATTEND.scale] = scale;
    i32[ATTEND.window] = window;
    i32[ATTEND.scratch] = this.#scratch.take(scratchBytes);
    i32[ATTEND.scratchBytes] = workBytes;
    for (let head = 0; head < nKvHeads; head++) {
      const at = HEADS_AT + WORDS_PER_HEAD * head;
      i32[at] = headPointer(rows, rows.keys, head);
      i32[at + 1] = headPointer(rows, rows.values, head);
      i32[at + 2] = positionsPointer(rows, head);
      i32[at + 3] = rows.length[head] ?? 0;
      i32[at + 4] = 0;
    }
    return args;
  }

  #run(job: number, nChunks: number): void {
    if (this.pool === null) runAlone(job, this.#kernels, this.#ownArgs, nChunks);
    else this.pool.run(job, nChunks);
  }
}

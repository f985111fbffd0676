// Kernel calls that can be cut into chunks, and how: the same table in the main thread and in the
// workers of the pool. A job's arguments lie in the control block; `chunk` says which part.
import { KvasirError } from "../../../errors.ts";
import type { Kernels } from "../kernels.ts";

/** Rows of a matrix in one chunk: a multiple of the kernels' 8. */
export const ROWS_PER_CHUNK = 64;
/** Tokens in one chunk of the ops that go by tokens: a multiple of every build's tile (4 and 6). */
export const TOKENS_PER_CHUNK = 24;

/** What a job sees of its arguments: integers, and the same words as f32. */
export interface JobArguments {
  readonly i32: Int32Array;
  readonly f32: Float32Array;
}

type Job = (kernels: Kernels, args: JobArguments, chunk: number, thread: number) => void;

function at(args: JobArguments, index: number): number {
  return args.i32[index] ?? 0;
}

/** type, out, stride, column, codes, scales, sums, nTokens, weight, nRows, nCols. */
function matMulPacked(k: Kernels, a: JobArguments, chunk: number): void {
  const nRows = at(a, 9);
  const begin = chunk * ROWS_PER_CHUNK;
  const end = Math.min(nRows, begin + ROWS_PER_CHUNK);
  k.mat_mul_packed(
    at(a, 0),
    at(a, 1),
    at(a, 2),
    at(a, 3),
    at(a, 4),
    at(a, 5),
    at(a, 6),
    at(a, 7),
    at(a, 8),
    nRows,
    at(a, 10),
    begin,
    end,
  );
}

/** type, out, stride, column, x, nTokens, weight, nRows, nCols, scratch, scratch bytes per thread. */
function matMulRaw(k: Kernels, a: JobArguments, chunk: number, thread: number): void {
  const nRows = at(a, 7);
  const begin = chunk * ROWS_PER_CHUNK;
  const end = Math.min(nRows, begin + ROWS_PER_CHUNK);
  k.mat_mul_raw(
    at(a, 0),
    at(a, 1),
    at(a, 2),
    at(a, 3),
    at(a, 4),
    at(a, 5),
    at(a, 6),
    nRows,
    at(a, 8),
    begin,
    end,
    at(a, 9) + thread * at(a, 10),
  );
}

/** Words of the jobs on cache rows; `scale` is f32, `sums` and its stride only where they are made. */
export const ATTEND = {
  ...{
    codec: 0,
    out: 1,
    outStride: 2,
    q: 3,
    qStride: 4,
    nTokens: 5,
    nGroups: 6,
    headDim: 7,
    firstPosition: 8,
  },
  ...{ scale: 9, window: 10, scratch: 11, scratchBytes: 12, tokensPerPart: 13 },
  ...{ sums: 14, sumsStride: 15, splits: 16, splitBytes: 17, nKvHeads: 18 },
} as const;

/**
 * Where the heads' own words begin: keys, values, positions, length; then the parts that are summed,
 * or the chunk of the head's first split.
 */
export const HEADS_AT = 20;
export const WORDS_PER_HEAD = 5;
export const TURN = 4;

/**
 * One kv head's queries of some tokens; the kernel takes the newest rows for the queries' own, so it
 * is given rows up to these.
 */
interface Part {
  readonly own: number;
  readonly part: number;
  /** First query head of the kv head, in cells of a token. */
  readonly column: number;
  readonly begin: number;
  readonly n: number;
  readonly length: number;
  readonly scratch: number;
}

function partOf(a: JobArguments, chunk: number, thread: number): Part {
  const [nTokens, size] = [at(a, ATTEND.nTokens), at(a, ATTEND.tokensPerPart)];
  const nKvHeads = at(a, ATTEND.nKvHeads);
  // Heads in turn: the part before, which sums wait for, is then long done.
  const head = chunk % nKvHeads;
  const part = Math.floor(chunk / nKvHeads);
  const begin = part * size;
  const n = Math.min(size, nTokens - begin);
  const own = HEADS_AT + WORDS_PER_HEAD * head;
  return {
    ...{ own, part, begin, n },
    column: head * at(a, ATTEND.nGroups) * at(a, ATTEND.headDim),
    length: Math.max(0, at(a, own + 3) - (nTokens - begin - n)),
    scratch: at(a, ATTEND.scratch) + thread * at(a, ATTEND.scratchBytes),
  };
}

type AttendKernel = "attend_head" | "attend_keeping_head";

function attendPart(k: Kernels, kernel: AttendKernel, a: JobArguments, part: Part): void {
  const { own, column, begin, n, length, scratch } = part;
  const [stride, nGroups] = [at(a, ATTEND.outStride), at(a, ATTEND.nGroups)];
  k[kernel](
    at(a, ATTEND.codec),
    at(a, ATTEND.out) + 4 * begin * stride,
    stride,
    column,
    at(a, ATTEND.q) + 4 * begin * at(a, ATTEND.qStride),
    at(a, ATTEND.qStride),
    column,
    n,
    nGroups,
    at(a, ATTEND.headDim),
    at(a, own),
    at(a, own + 1),
    at(a, own + 2),
    length,
    at(a, ATTEND.firstPosition) + begin,
    a.f32[ATTEND.scale] ?? 0,
    at(a, ATTEND.window),
    scratch,
  );
}

function attend(k: Kernels, a: JobArguments, chunk: number, thread: number): void {
  attendPart(k, "attend_head", a, partOf(a, chunk, thread));
}

/** Parts of a head attend at the same time and add to the sums one after the other. */
function attendAndSum(k: Kernels, a: JobArguments, chunk: number, thread: number): void {
  const part = partOf(a, chunk, thread);
  attendPart(k, "attend_keeping_head", a, part);
  const { own, begin, n, length, scratch } = part;
  waitFor(a.i32, own + TURN, part.part);
  const head = (own - HEADS_AT) / WORDS_PER_HEAD;
  const [nGroups, stride] = [at(a, ATTEND.nGroups), at(a, ATTEND.sumsStride)];
  k.add_columns_head(
    at(a, ATTEND.sums) + 4 * head * nGroups * stride,
    stride,
    n,
    nGroups,
    at(a, ATTEND.headDim),
    at(a, own + 2),
    length,
    at(a, ATTEND.firstPosition) + begin,
    at(a, ATTEND.window),
    scratch,
  );
  Atomics.store(a.i32, own + TURN, part.part + 1);
}

/** Longest that a thread waits for the part before its own: chunks are taken in order. */
const TURN_MS = 30_000;
const SPINS_PER_LOOK = 1 << 16;

function waitFor(i32: Int32Array, index: number, value: number): void {
  let started = 0;
  for (let spins = 1; Atomics.load(i32, index) !== value; spins++) {
    if (spins % SPINS_PER_LOOK !== 0) continue;
    const now = performance.now();
    if (started === 0) started = now;
    else if (now - started > TURN_MS) {
      throw new KvasirError("unavailable", "Cannot compute: a thread of the pool stopped");
    }
  }
}

/** A chunk is a split of a kv head's rows, by one token; heads follow each other at `firstSplit`. */
function attendSplit(k: Kernels, a: JobArguments, chunk: number, thread: number): void {
  let own: number = HEADS_AT;
  while (at(a, own + WORDS_PER_HEAD + TURN) <= chunk) own += WORDS_PER_HEAD;
  const head = (own - HEADS_AT) / WORDS_PER_HEAD;
  const [nGroups, headDim] = [at(a, ATTEND.nGroups), at(a, ATTEND.headDim)];
  k.attend_split_head(
    at(a, ATTEND.codec),
    at(a, ATTEND.splits) + chunk * at(a, ATTEND.splitBytes),
    at(a, ATTEND.q) + 4 * head * nGroups * headDim,
    nGroups,
    headDim,
    at(a, own),
    at(a, own + 1),
    at(a, own + 2),
    at(a, own + 3),
    at(a, ATTEND.firstPosition),
    a.f32[ATTEND.scale] ?? 0,
    at(a, ATTEND.window),
    chunk - at(a, own + TURN),
    at(a, ATTEND.scratch) + thread * at(a, ATTEND.scratchBytes),
  );
}

/** A chunk is a kv head. */
function measureWindow(k: Kernels, a: JobArguments, head: number, thread: number): void {
  const own = HEADS_AT + WORDS_PER_HEAD * head;
  const [nGroups, stride, headDim] = [
    at(a, ATTEND.nGroups),
    at(a, ATTEND.sumsStride),
    at(a, ATTEND.headDim),
  ];
  k.measure_window_head(
    at(a, ATTEND.codec),
    at(a, ATTEND.sums) + 4 * head * nGroups * stride,
    stride,
    at(a, ATTEND.q),
    at(a, ATTEND.qStride),
    head * nGroups * headDim,
    at(a, ATTEND.nTokens),
    nGroups,
    headDim,
    at(a, own),
    at(a, own + 2),
    at(a, own + 3),
    at(a, ATTEND.firstPosition),
    a.f32[ATTEND.scale] ?? 0,
    at(a, ATTEND.window),
    at(a, ATTEND.scratch) + thread * at(a, ATTEND.scratchBytes),
  );
}

/** out, gateUp, nTokens, size, kind. */
function gate(k: Kernels, a: JobArguments, chunk: number): void {
  const [nTokens, size] = [at(a, 2), at(a, 3)];
  const begin = chunk * TOKENS_PER_CHUNK;
  const n = Math.min(TOKENS_PER_CHUNK, nTokens - begin);
  k.gate(at(a, 0) + 4 * begin * size, at(a, 1) + 8 * begin * size, n, size, at(a, 4));
}

/** type, weight, first row, rows, n, nCols, bytes of a row, scratch, scratch bytes per thread. */
function packRows(k: Kernels, a: JobArguments, chunk: number, thread: number): void {
  const begin = chunk * ROWS_PER_CHUNK;
  k.pack_rows(
    at(a, 0),
    at(a, 1),
    at(a, 2) + begin,
    at(a, 3) + begin * at(a, 6),
    Math.min(ROWS_PER_CHUNK, at(a, 4) - begin),
    at(a, 5),
    at(a, 7) + thread * at(a, 8),
  );
}

/** By number, as the control block holds it. */
export const JOBS: readonly Job[] = [
  ...[matMulPacked, matMulRaw, attend, gate],
  ...[attendAndSum, measureWindow, attendSplit, packRows],
];

export const JOB = {
  ...{ matMulPacked: 0, matMulRaw: 1, attend: 2, gate: 3 },
  ...{ attendAndSum: 4, measureWindow: 5, attendSplit: 6, packRows: 7 },
} as const;

/** All chunks, on this thread. */
export function runAlone(job: number, kernels: Kernels, args: JobArguments, nChunks: number): void {
  for (let chunk = 0; chunk < nChunks; chunk++) JOBS[job]?.(kernels, args, chunk, 0);
}

// Kernel calls that can be cut into chunks, and how: the same table in the main thread and in the
// workers of the pool. A job's arguments lie in the control block; `chunk` says which part.
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

/** Where the heads' own arguments begin in `attend`: keys, values, positions, length of each. */
export const HEADS_AT = 16;
export const WORDS_PER_HEAD = 4;

/**
 * codec, out, outStride, q, qStride, nTokens, nGroups, headDim, firstPosition, scale (f32), window,
 * scratch, scratch bytes per thread; then the heads. A chunk is one kv head's queries of some
 * tokens; the kernel takes the newest rows for the queries' own, so it is given rows up to these.
 */
function attend(k: Kernels, a: JobArguments, chunk: number, thread: number): void {
  const nTokens = at(a, 5);
  const nParts = Math.ceil(nTokens / TOKENS_PER_CHUNK);
  const head = Math.floor(chunk / nParts);
  const begin = (chunk % nParts) * TOKENS_PER_CHUNK;
  const n = Math.min(TOKENS_PER_CHUNK, nTokens - begin);
  const [outStride, qStride, nGroups, headDim] = [at(a, 2), at(a, 4), at(a, 6), at(a, 7)];
  const column = head * nGroups * headDim;
  const own = HEADS_AT + WORDS_PER_HEAD * head;
  k.attend_head(
    at(a, 0),
    at(a, 1) + 4 * begin * outStride,
    outStride,
    column,
    at(a, 3) + 4 * begin * qStride,
    qStride,
    column,
    n,
    nGroups,
    headDim,
    at(a, own),
    at(a, own + 1),
    at(a, own + 2),
    Math.max(0, at(a, own + 3) - (nTokens - begin - n)),
    at(a, 8) + begin,
    a.f32[9] ?? 0,
    at(a, 10),
    at(a, 11) + thread * at(a, 12),
  );
}

/** out, gateUp, nTokens, size, kind. */
function gate(k: Kernels, a: JobArguments, chunk: number): void {
  const [nTokens, size] = [at(a, 2), at(a, 3)];
  const begin = chunk * TOKENS_PER_CHUNK;
  const n = Math.min(TOKENS_PER_CHUNK, nTokens - begin);
  k.gate(at(a, 0) + 4 * begin * size, at(a, 1) + 8 * begin * size, n, size, at(a, 4));
}

/** By number, as the control block holds it. */
export const JOBS: readonly Job[] = [matMulPacked, matMulRaw, attend, gate];

export const JOB = { matMulPacked: 0, matMulRaw: 1, attend: 2, gate: 3 } as const;

// GGUF blocks into weights: packed on all threads, from where they were read into if that is in the
// engine's memory.
import { assert } from "../../errors.ts";
import type { WasmWeight } from "./buffers.ts";
import type { Kernels } from "./kernels.ts";
import type { Arena } from "./memory.ts";
import type { OpScratch } from "./op-scratch.ts";
import { JOB, ROWS_PER_CHUNK } from "./pool/jobs.ts";
import type { Pool } from "./pool/pool.ts";

interface Stage {
  readonly ptr: number;
  /** The memory as it was when the stage was given away: shared memory stays readable by it. */
  readonly buffer: ArrayBufferLike;
}

export class WeightWriter {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;
  #stages: Stage[] = [];
  /** null: one thread. */
  pool: Pool | null = null;

  constructor(kernels: Kernels, arena: Arena, scratch: OpScratch) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#scratch = scratch;
  }

  /** Only where the memory is shared: another one's growth takes its bytes away from who reads. */
  stage(byteLength: number): Uint8Array | null {
    const { limitBytes, bytes, u8 } = this.#arena;
    if (!isShared(u8.buffer) || byteLength > limitBytes - bytes) return null;
    const ptr = this.#arena.alloc(byteLength, "blocks");
    const place = this.#arena.u8.subarray(ptr, ptr + byteLength);
    this.#stages.push({ ptr, buffer: place.buffer });
    return place;
  }

  unstage(): void {
    for (const { ptr } of this.#stages) this.#arena.free(ptr);
    this.#stages = [];
  }

  /** @param n Rows in `blocks`. */
  write(
    { typeId, ptr, nCols, isPacked }: WasmWeight,
    firstRow: number,
    blocks: Uint8Array,
    n: number,
  ): void {
    const rowBytes = blocks.byteLength / n;
    if (!isPacked) {
      this.#arena.u8.set(blocks, ptr + firstRow * rowBytes);
      return;
    }
    assert(firstRow % 8 === 0, "rows begin at a group");
    const nThreads = this.pool?.nThreads ?? 1;
    const workBytes = 4 * this.#kernels.pack_scratch_len(nCols);
    const isStaged = this.#stages.some(({ buffer }) => buffer === blocks.buffer);
    const copyBytes = isStaged ? 0 : blocks.byteLength;
    this.#scratch.begin(copyBytes + nThreads * workBytes, 2);
    const copy = this.#scratch.take(copyBytes);
    const work = this.#scratch.take(nThreads * workBytes);
    if (!isStaged) this.#arena.u8.set(blocks, copy);
    const rows = isStaged ? blocks.byteOffset : copy;
    if (this.pool === null) {
      this.#kernels.pack_rows(typeId, ptr, firstRow, rows, n, nCols, work);
      return;
    }
    this.pool.args.i32.set([typeId, ptr, firstRow, rows, n, nCols, rowBytes, work, workBytes]);
    this.pool.run(JOB.packRows, Math.ceil(n / ROWS_PER_CHUNK));
  }
}

function isShared(buffer: ArrayBufferLike): boolean {
  return typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;
}

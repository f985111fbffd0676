// The control block: how the main thread and the pool's workers talk, in words of shared memory.
//
// | word | content                                                                      |
// |------|------------------------------------------------------------------------------|
// | 0    | epoch: number of the job, -1 to end; workers wait on it                      |
// | 1    | ticket: the epoch's low bits, and the next chunk to be taken                 |
// | 2    | chunks that are done                                                         |
// | 3    | chunks of the job                                                            |
// | 4    | number of the job in `JOBS`                                                  |
// | 5    | workers of builds without a version count themselves here                    |
// | 6    | 1: a worker failed, 2: one is of another build                               |
// | 7    | version of this table and of jobs.ts; this and word 6 never move             |
// | 8    | workers that are ready                                                       |
// | 16 ..| arguments, as jobs.ts lists them                                             |
//
// A job is over when its chunks are done, whoever did them: a worker that wakes late, or never, holds
// nobody up unless it took a chunk. The ticket names its job, so a late worker takes none of the next.
import { JOBS, type JobArguments } from "./jobs.ts";
import type { Kernels } from "../kernels.ts";

export const WORD = {
  epoch: 0,
  ticket: 1,
  done: 2,
  nChunks: 3,
  job: 4,
  unversioned: 5,
  failed: 6,
  version: 7,
  ready: 8,
} as const;
/** Goes up with any change to this file or jobs.ts: a worker's script may be of another build. */
export const VERSION = 2;
/** In `WORD.failed`. */
export const FAILED = 1;
export const OTHER_BUILD = 2;
export const ARGUMENTS = 16;
export const CONTROL_WORDS = 1024;
export const ARGUMENT_WORDS = CONTROL_WORDS - ARGUMENTS;
export const END = -1;
const CHUNK_BITS = 16;
/** As the chunk of a ticket: there is none to take. */
const NONE = (1 << CHUNK_BITS) - 1;
/** Epochs begin anew after so many jobs, long before they would meet `END`. */
const N_EPOCHS = 1 << 30;

/** The block at byte offset `ptr`; its place never moves, so growth of the memory does not matter. */
export class Control {
  readonly words: Int32Array;
  readonly args: JobArguments;

  constructor(memory: WebAssembly.Memory, ptr: number) {
    this.words = new Int32Array(memory.buffer, ptr, CONTROL_WORDS);
    const byteOffset = ptr + 4 * ARGUMENTS;
    this.args = {
      i32: new Int32Array(memory.buffer, byteOffset, ARGUMENT_WORDS),
      f32: new Float32Array(memory.buffer, byteOffset, ARGUMENT_WORDS),
    };
  }

  /** Offers a job, whose arguments are there, to the workers. @returns Its epoch. */
  offer(job: number, nChunks: number): number {
    const { words } = this;
    const epoch = ((words[WORD.epoch] ?? 0) + 1) % N_EPOCHS;
    // Nobody takes a chunk while the words change.
    Atomics.store(words, WORD.ticket, ticketOf(epoch, NONE));
    words[WORD.job] = job;
    words[WORD.nChunks] = nChunks;
    Atomics.store(words, WORD.done, 0);
    Atomics.store(words, WORD.ticket, ticketOf(epoch, 0));
    Atomics.store(words, WORD.epoch, epoch);
    Atomics.notify(words, WORD.epoch);
    return epoch;
  }

  /** Takes chunks of a job until none is left. */
  work(kernels: Kernels, thread: number, epoch: number): void {
    for (;;) {
      const chunk = this.#take(epoch);
      if (chunk === NONE) return;
      this.doChunk(kernels, this.words[WORD.job] ?? 0, chunk, thread);
      Atomics.add(this.words, WORD.done, 1);
    }
  }

  doChunk(kernels: Kernels, job: number, chunk: number, thread: number): void {
    JOBS[job]?.(kernels, this.args, chunk, thread);
  }

  #take(epoch: number): number {
    const { words } = this;
    for (;;) {
      const ticket = Atomics.load(words, WORD.ticket);
      const chunk = ticket & NONE;
      if (ticket !== ticketOf(epoch, chunk)) return NONE;
      if (chunk >= Atomics.load(words, WORD.nChunks)) return NONE;
      if (Atomics.compareExchange(words, WORD.ticket, ticket, ticket + 1) === ticket) return chunk;
    }
  }
}

/** Most chunks that a job may have. */
export const MAX_CHUNKS = NONE - 1;

function ticketOf(epoch: number, chunk: number): number {
  return (epoch << CHUNK_BITS) | chunk;
}

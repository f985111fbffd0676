// The control block: how the main thread and the pool's workers talk, in words of shared memory.
//
// | word | content                                                             |
// |------|---------------------------------------------------------------------|
// | 0    | epoch: raised once per job, -1 to end; workers wait on it            |
// | 1    | next chunk to be taken                                              |
// | 2    | workers that have finished the job                                  |
// | 3    | chunks of the job                                                   |
// | 4    | number of the job in `JOBS`                                         |
// | 5    | workers that are ready                                              |
// | 8 .. | arguments, as jobs.ts lists them                         |
import { JOBS, type JobArguments } from "./jobs.ts";
import type { Kernels } from "../kernels.ts";

export const WORD = { epoch: 0, next: 1, done: 2, nChunks: 3, job: 4, ready: 5 } as const;
export const ARGUMENTS = 8;
export const CONTROL_WORDS = 512;
export const END = -1;

/** The block at byte offset `ptr`; its place never moves, so growth of the memory does not matter. */
export class Control {
  readonly words: Int32Array;
  readonly args: JobArguments;

  constructor(memory: WebAssembly.Memory, ptr: number) {
    this.words = new Int32Array(memory.buffer, ptr, CONTROL_WORDS);
    const byteOffset = ptr + 4 * ARGUMENTS;
    const n = CONTROL_WORDS - ARGUMENTS;
    this.args = {
      i32: new Int32Array(memory.buffer, byteOffset, n),
      f32: new Float32Array(memory.buffer, byteOffset, n),
    };
  }

  /** Takes chunks until none is left. */
  work(kernels: Kernels, thread: number): void {
    const { words } = this;
    const job = JOBS[words[WORD.job] ?? 0];
    const nChunks = words[WORD.nChunks] ?? 0;
    for (;;) {
      const chunk = Atomics.add(words, WORD.next, 1);
      if (chunk >= nChunks || job === undefined) return;
      job(kernels, this.args, chunk, thread);
    }
  }
}

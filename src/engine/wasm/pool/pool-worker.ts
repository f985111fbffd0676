// What a worker of the pool does: wait for an epoch, take chunks, say so, wait again.
import { Control, END, FAILED, OTHER_BUILD, VERSION, WORD } from "./control.ts";
import { instantiateKernels, startThread } from "../instantiate.ts";
import type { Kernels } from "../kernels.ts";

/** Sent once to each worker. */
export interface PoolWorkerInit {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Byte offset of the control block. */
  readonly control: number;
  /** 1 and up; the main thread is 0. */
  readonly thread: number;
}

/** Looks before a worker sleeps: ops of one token follow each other within microseconds. */
const N_SPINS = 20_000;

/** Never returns until the pool ends. */
export function runPoolWorker(init: PoolWorkerInit): void {
  const words = new Int32Array(init.memory.buffer, init.control, WORD.version + 1);
  if (Atomics.load(words, WORD.version) !== VERSION) {
    Atomics.store(words, WORD.failed, OTHER_BUILD);
    return;
  }
  work(init);
}

function work(init: PoolWorkerInit): void {
  const exports = instantiateKernels(init.module, init.memory);
  startThread(exports);
  const kernels = exports as unknown as Kernels;
  const control = new Control(init.memory, init.control);
  const { words } = control;
  let epoch = 0;
  Atomics.add(words, WORD.ready, 1);
  for (;;) {
    epoch = waitForChange(words, epoch);
    if (epoch === END) return;
    try {
      control.work(kernels, init.thread, epoch);
    } catch (error) {
      // The main thread does not see the error itself while it waits for the job.
      Atomics.store(words, WORD.failed, FAILED);
      throw error;
    }
  }
}

function waitForChange(words: Int32Array, seen: number): number {
  for (let i = 0; i < N_SPINS; i++) {
    const epoch = Atomics.load(words, WORD.epoch);
    if (epoch !== seen) return epoch;
  }
  for (;;) {
    Atomics.wait(words, WORD.epoch, seen);
    const epoch = Atomics.load(words, WORD.epoch);
    if (epoch !== seen) return epoch;
  }
}

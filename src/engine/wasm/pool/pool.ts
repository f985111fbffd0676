// The thread pool: one job at a time, cut into chunks that the main thread and the workers take in
// turn. No message and no allocation per job. Every output cell is computed by one thread in one
// order, so the number of threads changes no bit.
import { KvasirError } from "../../../errors.ts";
import type { KernelWorker } from "../../../runtime/runtime.ts";
import { Control, CONTROL_WORDS, END, WORD } from "./control.ts";
import type { Kernels } from "../kernels.ts";
import type { Arena } from "../memory.ts";
import type { PoolWorkerInit } from "./pool-worker.ts";

/** Longest that workers may take to start, and a job to end, before they count as dead. */
const START_MS = 10_000;
const JOB_MS = 30_000;
/** Looks at the clock once in so many spins. */
const SPINS_PER_LOOK = 1 << 16;

export class Pool {
  readonly nThreads: number;
  readonly #kernels: Kernels;
  readonly #control: Control;
  readonly #workers: readonly KernelWorker[];
  #failure: KvasirError | undefined;

  private constructor(kernels: Kernels, control: Control, workers: readonly KernelWorker[]) {
    this.nThreads = workers.length + 1;
    this.#kernels = kernels;
    this.#control = control;
    this.#workers = workers;
    for (const worker of workers) worker.onFailure((reason) => this.#fail(reason));
  }

  /** @returns null when the workers do not start: the caller goes on with one thread. */
  static async start(
    module: WebAssembly.Module,
    kernels: Kernels,
    arena: Arena,
    workers: readonly KernelWorker[],
  ): Promise<Pool | null> {
    const { memory } = kernels;
    const ptr = arena.alloc(4 * CONTROL_WORDS, "pool");
    arena.u32.fill(0, ptr / 4, ptr / 4 + CONTROL_WORDS);
    const control = new Control(memory, ptr);
    const pool = new Pool(kernels, control, workers);
    for (const [i, worker] of workers.entries()) {
      const init: PoolWorkerInit = { module, memory, control: ptr, thread: i + 1 };
      worker.post(init);
    }
    const deadline = performance.now() + START_MS;
    while (Atomics.load(control.words, WORD.ready) < workers.length) {
      if (performance.now() > deadline || pool.#failure !== undefined) {
        pool.dispose();
        return null;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return pool;
  }

  /** Where a job's arguments go, before `run`. */
  get args(): Control["args"] {
    return this.#control.args;
  }

  /** @throws {KvasirError} `unavailable` when a worker died; the engine is then unusable. */
  run(job: number, nChunks: number): void {
    if (this.#failure !== undefined) throw this.#failure;
    const { words } = this.#control;
    words[WORD.job] = job;
    words[WORD.nChunks] = nChunks;
    Atomics.store(words, WORD.next, 0);
    if (nChunks < 2) {
      this.#control.work(this.#kernels, 0);
      return;
    }
    Atomics.store(words, WORD.done, 0);
    Atomics.add(words, WORD.epoch, 1);
    Atomics.notify(words, WORD.epoch);
    this.#control.work(this.#kernels, 0);
    this.#waitForWorkers(words);
  }

  dispose(): void {
    Atomics.store(this.#control.words, WORD.epoch, END);
    Atomics.notify(this.#control.words, WORD.epoch);
    for (const worker of this.#workers) worker.terminate();
  }

  /** Spins: a page's main thread may not sleep, and the rest of a job takes microseconds. */
  #waitForWorkers(words: Int32Array): void {
    let started = 0;
    for (let spins = 1; Atomics.load(words, WORD.done) < this.#workers.length; spins++) {
      if (spins % SPINS_PER_LOOK !== 0) continue;
      const now = performance.now();
      if (started === 0) started = now;
      else if (now - started > JOB_MS) throw this.#fail("it did not finish its part");
    }
  }

  #fail(reason: string): KvasirError {
    this.#failure ??= new KvasirError(
      "unavailable",
      `Cannot compute: a worker of the thread pool stopped (${reason})`,
    );
    return this.#failure;
  }
}

// The thread pool: one job at a time, cut into chunks that the main thread and the workers take in
// turn. No message and no allocation per job. Every output cell is computed by one thread in one
// order, so the number of threads changes no bit.
import { assert, KvasirError } from "../../../errors.ts";
import type { KernelWorker } from "../../../runtime/runtime.ts";
import { Control, CONTROL_WORDS, END, MAX_CHUNKS, OTHER_BUILD, VERSION, WORD } from "./control.ts";
import { runAlone } from "./jobs.ts";
import type { Kernels } from "../kernels.ts";
import type { Arena } from "../memory.ts";
import type { PoolWorkerInit } from "./pool-worker.ts";

/** Longest that workers may take to start, and a job to end, before they count as dead. */
const START_MS = 10_000;
const JOB_MS = 10_000;
/** Looks at the clock once in so many spins. */
const SPINS_PER_LOOK = 1 << 14;
const NAP_MS = 0.05;
const MIN_LOOKS = 1000;

export class Pool {
  readonly nThreads: number;
  readonly #kernels: Kernels;
  readonly #control: Control;
  readonly #workers: readonly KernelWorker[];
  /** A word that nobody changes. */
  readonly #never = new Int32Array(new SharedArrayBuffer(4));
  #mayNap = true;
  #failure: KvasirError | undefined;

  private constructor(kernels: Kernels, control: Control, workers: readonly KernelWorker[]) {
    this.nThreads = workers.length + 1;
    this.#kernels = kernels;
    this.#control = control;
    this.#workers = workers;
    for (const worker of workers) worker.onFailure((reason) => this.#fail(reason));
  }

  /** Has the workers start, and does not wait for them: until they are ready, jobs run on one thread. */
  static begin(
    module: WebAssembly.Module,
    kernels: Kernels,
    arena: Arena,
    workers: readonly KernelWorker[],
  ): Pool {
    const { memory } = kernels;
    const ptr = arena.alloc(4 * CONTROL_WORDS, "pool");
    arena.u32.fill(0, ptr / 4, ptr / 4 + CONTROL_WORDS);
    const control = new Control(memory, ptr);
    control.words[WORD.version] = VERSION;
    const pool = new Pool(kernels, control, workers);
    for (const [i, worker] of workers.entries()) {
      const init: PoolWorkerInit = { module, memory, control: ptr, thread: i + 1 };
      worker.post(init);
    }
    return pool;
  }

  /**
   * Waits for the workers.
   *
   * @returns false when they do not start: the pool is then of no use.
   * @throws {KvasirError} `version-mismatch` when their script is of another build of kvasir.
   */
  async ready(): Promise<boolean> {
    const deadline = performance.now() + START_MS;
    while (!this.#areReady()) {
      if (this.#isOfAnotherBuild()) throw otherBuild();
      if (performance.now() > deadline || this.#failure !== undefined) return false;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (const worker of this.#workers) worker.watch?.();
    return true;
  }

  /** Where a job's arguments go, before `run`. */
  get args(): Control["args"] {
    return this.#control.args;
  }

  /** @throws {KvasirError} `unavailable` when a worker died; the engine is then unusable. */
  run(job: number, nChunks: number): void {
    const { words } = this.#control;
    if (!this.#areReady()) {
      runAlone(job, this.#kernels, this.#control.args, nChunks);
      return;
    }
    if (words[WORD.failed] !== 0) this.#fail("it failed");
    if (this.#failure !== undefined) throw this.#failure;
    if (nChunks < 2) {
      if (nChunks === 1) this.#control.doChunk(this.#kernels, job, 0, 0);
      return;
    }
    if (nChunks > MAX_CHUNKS) assert(false, `a job has at most ${MAX_CHUNKS} chunks`);
    const epoch = this.#control.offer(job, nChunks);
    this.#control.work(this.#kernels, 0, epoch);
    this.#waitForWorkers(words, nChunks);
  }

  dispose(): void {
    this.#fail("it was ended");
    Atomics.store(this.#control.words, WORD.epoch, END);
    Atomics.notify(this.#control.words, WORD.epoch);
    for (const worker of this.#workers) worker.terminate();
  }

  #areReady(): boolean {
    return Atomics.load(this.#control.words, WORD.ready) === this.#workers.length;
  }

  #isOfAnotherBuild(): boolean {
    const { words } = this.#control;
    return (
      Atomics.load(words, WORD.unversioned) !== 0 ||
      Atomics.load(words, WORD.failed) === OTHER_BUILD
    );
  }

  /** Spins: the rest of a job takes microseconds. Past that, sleeps in between where it may. */
  #waitForWorkers(words: Int32Array, nChunks: number): void {
    let [started, nLooks] = [0, 0];
    for (let spins = 1; Atomics.load(words, WORD.done) < nChunks; spins++) {
      if (spins % SPINS_PER_LOOK !== 0) continue;
      if (Atomics.load(words, WORD.failed) !== 0) throw this.#fail("it failed");
      const now = performance.now();
      if (started === 0) started = now;
      // A machine that slept meanwhile looks late at once; its workers get their time first.
      else if (now - started > JOB_MS && ++nLooks > MIN_LOOKS) {
        throw this.#fail("it did not finish its part");
      }
      this.#nap();
    }
  }

  /** Leaves the core to a worker that has none; a page's main thread may not. */
  #nap(): void {
    if (!this.#mayNap) return;
    try {
      Atomics.wait(this.#never, 0, 0, NAP_MS);
    } catch {
      this.#mayNap = false;
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

/** They would take the words of a job for others, and compute wrong numbers. */
function otherBuild(): KvasirError {
  return new KvasirError(
    "version-mismatch",
    "Cannot start the threads: the script of their workers (kernel-pool.*worker.js) is of another " +
      "build of kvasir; build or install all of its files together",
  );
}

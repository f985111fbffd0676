import type { Job, Reply } from "../job.ts";

/** The part of a job that no runtime decides. */
export type Task = Omit<Job, "entry" | "model">;

/** Where the measured code runs. Each call of `run` gets a process of its own. */
export interface BenchRuntime {
  readonly name: string;
  run(task: Task): Promise<Reply>;
  close(): Promise<void>;
}

export interface RuntimeFiles {
  /** Folder of this run: `package/` (the built package), `worker-process.js`, `worker-page.js`. */
  readonly folder: string;
  readonly model: string;
}

import type { Runtime } from "./runtime.ts";
import { guessCores } from "./threads/cores.ts";
import { spawnWebWorker } from "./threads/web-worker.ts";
import { loadKernels, modelStore, notes, openByteSource } from "./node.ts";

/**
 * Deno 2, through its Node modules. Needs --allow-read; for URLs --allow-net, and --allow-write and
 * --allow-env to keep what was downloaded.
 */
export const denoRuntime: Runtime = {
  name: "deno",
  loadKernels,
  openByteSource,
  modelStore,
  notes,
  get hardwareThreads() {
    return guessCores(navigator.hardwareConcurrency);
  },
  gpu: async () => navigator.gpu ?? null,
  spawnKernelWorker: () =>
    spawnWebWorker(
      () => new Worker(new URL("./kernel-pool.worker.js", import.meta.url), { type: "module" }),
    ),
};

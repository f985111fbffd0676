import type { Runtime } from "./runtime.ts";
import { spawnWebWorker } from "./web-worker.ts";
import { loadKernels, openByteSource } from "./node.ts";

/** Deno 2, through its Node modules; needs --allow-read, and --allow-net for URLs. */
export const denoRuntime: Runtime = {
  name: "deno",
  loadKernels,
  openByteSource,
  get hardwareThreads() {
    return navigator.hardwareConcurrency;
  },
  spawnKernelWorker: () => spawnWebWorker(new URL("./kernel-pool.worker.js", import.meta.url)),
};

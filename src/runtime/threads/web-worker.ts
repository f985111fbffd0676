// Kernel workers where workers are the web's: browsers and Deno.
import type { KernelWorker } from "../runtime.ts";
import { freshName, whenGone } from "./locks.ts";

/**
 * @param create Whole, `new Worker(new URL("…", import.meta.url), { type: "module" })`: bundlers find
 *   workers by it.
 * @returns null where memory cannot be shared: pages that are not cross-origin isolated.
 */
export function spawnWebWorker(create: () => Worker): KernelWorker | null {
  if (typeof SharedArrayBuffer === "undefined" || typeof Worker === "undefined") return null;
  if (globalThis.crossOriginIsolated === false) return null;
  let worker: Worker;
  try {
    worker = create();
  } catch {
    return null; // a page's policy may forbid it
  }
  // Held by the worker while it runs (workers/kernel-pool.worker.ts).
  const lock = freshName("kernels");
  let fail: (reason: string) => void = () => {};
  let stopWatching = (): void => {};
  return {
    post: (message) => worker.postMessage({ message, lock }),
    onFailure(callback) {
      fail = callback;
      worker.onerror = (event) => {
        event.preventDefault();
        callback(event.message || "its script could not be opened");
      };
    },
    watch: () => (stopWatching = whenGone(lock, () => fail("it was terminated"))),
    terminate() {
      stopWatching();
      worker.terminate();
    },
  };
}

// Kernel workers where workers are the web's: browsers and Deno.
import type { KernelWorker } from "./runtime.ts";
import { freshName, whenGone } from "./locks.ts";

/** @returns null where memory cannot be shared: pages that are not cross-origin isolated. */
export function spawnWebWorker(url: URL): KernelWorker | null {
  if (typeof SharedArrayBuffer === "undefined" || typeof Worker === "undefined") return null;
  if (globalThis.crossOriginIsolated === false) return null;
  // The worker holds the lock of its own name (workers/kernel-pool.worker.ts).
  const name = freshName("kernels");
  let worker: Worker;
  try {
    worker = new Worker(url, { type: "module", name });
  } catch {
    return null; // a page's policy may forbid it
  }
  let fail: (reason: string) => void = () => {};
  let stopWatching = (): void => {};
  return {
    post: (message) => worker.postMessage(message),
    onFailure(callback) {
      fail = callback;
      worker.onerror = (event) => {
        event.preventDefault();
        callback(event.message || "its script could not be opened");
      };
    },
    watch: () => (stopWatching = whenGone(name, () => fail("it was terminated"))),
    terminate() {
      stopWatching();
      worker.terminate();
    },
  };
}

/** Physical cores are not told: half of the logical ones, which most machines have two of each. */
export function guessCores(nLogical: number): number {
  return nLogical <= 2 ? Math.max(1, nLogical) : Math.ceil(nLogical / 2);
}

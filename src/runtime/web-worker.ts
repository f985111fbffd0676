// Kernel workers where workers are the web's: browsers and Deno.
import type { KernelWorker } from "./runtime.ts";

/** @returns null where memory cannot be shared: pages that are not cross-origin isolated. */
export function spawnWebWorker(url: URL): KernelWorker | null {
  if (typeof SharedArrayBuffer === "undefined" || typeof Worker === "undefined") return null;
  if (globalThis.crossOriginIsolated === false) return null;
  const worker = new Worker(url, { type: "module", name: "kvasir kernels" });
  return {
    post: (message) => worker.postMessage(message),
    onFailure(callback) {
      worker.onerror = (event) => {
        event.preventDefault();
        callback(event.message);
      };
    },
    terminate: () => worker.terminate(),
  };
}

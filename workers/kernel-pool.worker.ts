// A worker of the thread pool in browsers and Deno.
import { type PoolWorkerInit, runPoolWorker } from "../src/engine/wasm/pool/pool-worker.ts";

/** As src/runtime/threads/web-worker.ts sends it. */
interface Start {
  readonly message: PoolWorkerInit;
  /** Held while the pool runs, so that the worker's end is noticed. */
  readonly lock: string;
}

const { locks } = (globalThis.navigator as { readonly locks?: LockManager } | undefined) ?? {};

globalThis.onmessage = ({ data: { message, lock } }: MessageEvent<Start>) => {
  if (locks === undefined) runPoolWorker(message);
  else locks.request(lock, async () => runPoolWorker(message)).catch(reportError);
};

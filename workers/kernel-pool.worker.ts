// A worker of the thread pool in browsers and Deno.
import { type PoolWorkerInit, runPoolWorker } from "../src/engine/wasm/pool/pool-worker.ts";

interface WorkerScope {
  readonly name: string;
  readonly navigator?: { readonly locks?: LockManager };
  readonly reportError: (error: unknown) => void;
}

const scope = globalThis as unknown as WorkerScope;

globalThis.onmessage = ({ data }: MessageEvent<PoolWorkerInit>) => {
  const { locks } = scope.navigator ?? {};
  if (locks === undefined) runPoolWorker(data);
  // Held while it runs, so that its end is noticed (src/runtime/web-worker.ts).
  else locks.request(scope.name, async () => runPoolWorker(data)).catch(scope.reportError);
};

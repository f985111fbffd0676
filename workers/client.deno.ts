// `kvasir/worker` in Deno.
import { cwd } from "node:process";
import { pathToFileURL } from "node:url";
import type { ModelSource, ModelStore } from "../src/runtime/runtime.ts";
import { loadOnWorker, type WorkerPlatform } from "./remote/load.ts";
import { sessionOnWorker } from "./remote/session.ts";
import type {
  WorkerLoadOptions,
  WorkerModel,
  WorkerSession,
  WorkerSessionOptions,
} from "./session-api.ts";

export { type ErrorCode, KvasirError } from "../src/errors.ts";

const platform: WorkerPlatform = {
  spawn() {
    const url = new URL("./session.deno.worker.js", import.meta.url);
    const worker = new Worker(url, { type: "module", name: "kvasir" });
    return {
      endpoint: worker,
      onFailure(callback) {
        worker.onerror = (event) => {
          event.preventDefault();
          callback(event.message);
        };
      },
      // Deno 2.9 crashes now and then where a program ends while a worker is being terminated. One
      // that closes itself (session.deno.worker.ts) is waited for.
      terminate: (hasLeft) => {
        if (!hasLeft) worker.terminate();
      },
    };
  },
  resolve: (place) => place,
  resolveModule: (place) => new URL(place, pathToFileURL(`${cwd()}/`)).href,
};

/** As in client.ts. */
export function loadInWorker(
  source: ModelSource,
  options: WorkerLoadOptions = {},
): Promise<WorkerModel> {
  return loadOnWorker(platform, source, options);
}

/** As in client.ts. */
export function createWorkerSession(
  source: ModelSource,
  options: WorkerSessionOptions = {},
): Promise<WorkerSession> {
  return sessionOnWorker(platform, source, options);
}

/** As in client.ts. */
export async function modelStore(options: { readonly name?: string } = {}): Promise<ModelStore> {
  const { modelStore: open } = await import("../src/entry/deno.ts");
  return open(options);
}

// `kvasir/worker` in Node: the same over worker_threads.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import type { ModelSource, ModelStore } from "../src/runtime/runtime.ts";
import type { SpawnedWorker } from "./remote/connection.ts";
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
  spawn(): SpawnedWorker {
    // Beside the built package, or from the sources.
    const places = ["./session.node.worker.js", "../dist/session.node.worker.js"];
    const urls = places.map((place) => new URL(place, import.meta.url));
    const worker = new Worker(urls.find((url) => existsSync(url)) ?? (urls[0] as URL), {
      name: "kvasir",
    });
    return {
      endpoint: nodeEndpoint(worker),
      onFailure(callback) {
        worker.once("error", (error) => callback(error.message));
        worker.once("exit", (status) => callback(`exit status ${status}`));
      },
      terminate: () => void worker.terminate(),
      keepAlive: (isNeeded) => (isNeeded ? worker.ref() : worker.unref()),
    };
  },
  resolve: (place) => place,
  resolveModule: (place) =>
    /^(file|data|node):/.test(place) ? place : pathToFileURL(resolve(place)).href,
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
  const { modelStore: open } = await import("../src/entry/node.ts");
  return open(options);
}

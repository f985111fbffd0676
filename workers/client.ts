// `kvasir/worker` in browsers: a model in a worker, so that the page never waits for it.
import { KvasirError } from "../src/errors.ts";
import { holdLock, withLock } from "./locks.ts";
import { workerFunctions } from "./create.ts";
import type { SpawnedWorker } from "./remote/connection.ts";

export { type ErrorCode, KvasirError } from "../src/errors.ts";
export type * from "../src/types.ts";
export type {
  Async,
  WorkerLoadOptions,
  WorkerModel,
  WorkerSession,
  WorkerSessionOptions,
} from "./session-api.ts";

export const { loadInWorker, createWorkerSession } = workerFunctions({
  spawn() {
    if (typeof Worker === "undefined") {
      throw new KvasirError("unavailable", "Cannot start a worker: this platform has none");
    }
    const url = new URL("./session.worker.js", import.meta.url);
    const worker = new Worker(url, { type: "module", name: "kvasir" });
    return { endpoint: worker, onFailure: onFailureOf(worker), terminate: () => worker.terminate() };
  },
  ...(typeof SharedWorker !== "undefined" && { connect }),
  resolve: wholeUrl,
  resolveModule: wholeUrl,
  reserve: async (name) => (await holdLock(name))?.release ?? null,
  alone: withLock,
});

function wholeUrl(place: string): string {
  try {
    return new URL(place, globalThis.location.href).href;
  } catch (cause) {
    throw new KvasirError("not-found", `Cannot open "${place}": not a URL`, { cause });
  }
}

function connect(name: string): SpawnedWorker {
  const url = new URL("./session.worker.js", import.meta.url);
  const worker = new SharedWorker(url, { type: "module", name });
  const { port } = worker;
  port.start();
  return { endpoint: port, onFailure: onFailureOf(worker), terminate: () => port.close() };
}

function onFailureOf(worker: AbstractWorker): SpawnedWorker["onFailure"] {
  return (callback) => {
    worker.onerror = (event) => {
      event.preventDefault();
      callback((event as Partial<ErrorEvent>).message ?? "its script could not be opened");
    };
  };
}

// `kvasir/worker` in browsers: a model in a worker, so that the page never waits for it.
import { KvasirError } from "../src/errors.ts";
import type { ModelSource, ModelStore } from "../src/runtime/runtime.ts";
import { holdLock, withLock } from "../src/runtime/threads/locks.ts";
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
export type * from "../src/types.ts";
export type {
  Async,
  WorkerLoadOptions,
  WorkerModel,
  WorkerSession,
  WorkerSessionOptions,
} from "./session-api.ts";

const platform: WorkerPlatform = {
  spawn,
  ...(typeof SharedWorker !== "undefined" && { connect }),
  resolve: wholeUrl,
  resolveModule: wholeUrl,
  reserve: async (name) => (await holdLock(name))?.release ?? null,
  alone: withLock,
};

/**
 * Loads a model into a worker. The model and its sessions have the interface of local ones, with a
 * promise wherever those return at once.
 *
 * A stream runs ahead of its reader by at most 16 events: after leaving one early, the session may
 * have said a little more than was read. Bytes are copied to the worker; Blobs and files are not.
 *
 * @param source Path, URL, File or Blob, bytes, or a ByteSource of your own.
 * @param options.share One model for all tabs, see `WorkerLoadOptions`.
 * @returns The model; `dispose` frees it and ends the worker.
 * @throws {KvasirError} As `load`; `worker-lost` when the worker does not start, `busy`.
 * @example
 * const model = await loadInWorker("model.gguf");
 * const session = await model.session({ method: "snapkv", budget: { keep: 0.2 } });
 * for await (const event of session.generate("What is a raven?")) {
 *   if (event.type === "token") document.body.append(event.text);
 * }
 * await model.dispose();
 */
export function loadInWorker(
  source: ModelSource,
  options: WorkerLoadOptions = {},
): Promise<WorkerModel> {
  return loadOnWorker(platform, source, options);
}

/**
 * One session on a model in a worker of its own; `dispose` frees both and ends the worker.
 *
 * @param options.session Of the session; all others are of the model.
 * @throws {KvasirError} As `loadInWorker`; `bad-option` and `not-found` for the session's.
 */
export function createWorkerSession(
  source: ModelSource,
  options: WorkerSessionOptions = {},
): Promise<WorkerSession> {
  return sessionOnWorker(platform, source, options);
}

function spawn(): SpawnedWorker {
  // Whole literals: bundlers find workers by them.
  const worker = start(
    () =>
      new Worker(new URL("./session.worker.js", import.meta.url), {
        type: "module",
        name: "kvasir",
      }),
  );
  return { endpoint: worker, onFailure: onFailureOf(worker), terminate: () => worker.terminate() };
}

function connect(name: string): SpawnedWorker {
  const url = new URL("./session.worker.js", import.meta.url);
  const worker = start(() => new SharedWorker(url, { type: "module", name }));
  const { port } = worker;
  port.start();
  return { endpoint: port, onFailure: onFailureOf(worker), terminate: () => port.close() };
}

/** @throws {KvasirError} `unavailable` where there are no workers, or a page may not have this one. */
function start<W>(create: () => W): W {
  try {
    return create();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("unavailable", `Cannot start a worker: ${why}`, { cause });
  }
}

function wholeUrl(place: string): string {
  try {
    return new URL(place, globalThis.location.href).href;
  } catch (cause) {
    throw new KvasirError("not-found", `Cannot open "${place}": not a URL`, { cause });
  }
}

function onFailureOf(worker: AbstractWorker): SpawnedWorker["onFailure"] {
  return (callback) => {
    worker.onerror = (event) => {
      event.preventDefault();
      callback((event as Partial<ErrorEvent>).message ?? "its script could not be opened");
    };
  };
}

/** `modelStore` of the main entry, which is loaded when this is called. */
export async function modelStore(options: { readonly name?: string } = {}): Promise<ModelStore> {
  const { modelStore: open } = await import("../src/entry/browser.ts");
  return open(options);
}

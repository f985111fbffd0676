// `kvasir/worker` on a platform.
import type { ModelSource } from "../src/runtime/runtime.ts";
import type { SessionOptions } from "../src/types.ts";
import { loadOnWorker, type WorkerPlatform } from "./remote/load.ts";
import type {
  WorkerLoadOptions,
  WorkerModel,
  WorkerSession,
  WorkerSessionOptions,
} from "./session-api.ts";

export interface WorkerFunctions {
  /**
   * Loads a model into a worker. The model and its sessions have the interface of local ones, with a
   * promise wherever those return at once.
   *
   * Streams run ahead of their reader by at most 16 events; what a session read and said then stays in
   * its cache, also when the reader leaves early. Bytes are copied to the worker, Blobs are not.
   *
   * @param source Path, URL, File or Blob, bytes, or a ByteSource of your own.
   * @param options.share One model for all tabs; see `WorkerLoadOptions`.
   * @returns The model; `dispose` frees it and ends the worker.
   * @throws {KvasirError} As `load`; `worker-lost` when the worker does not start, `busy`.
   */
  loadInWorker(source: ModelSource, options?: WorkerLoadOptions): Promise<WorkerModel>;
  /**
   * One session on a model in a worker of its own; `dispose` frees both and ends the worker.
   *
   * @param options.session Of the session; all others are of the model.
   * @throws {KvasirError} As `loadInWorker`; `bad-option` for the session's.
   */
  createWorkerSession(source: ModelSource, options?: WorkerSessionOptions): Promise<WorkerSession>;
}

export function workerFunctions(platform: WorkerPlatform): WorkerFunctions {
  const loadInWorker: WorkerFunctions["loadInWorker"] = (source, options = {}) =>
    loadOnWorker(platform, source, options);
  return {
    loadInWorker,
    createWorkerSession: async (source, { session: wanted, ...options } = {}) => {
      const model = await loadInWorker(source, options);
      try {
        return await ownSession(model, wanted);
      } catch (error) {
        await model.dispose();
        throw error;
      }
    },
  };
}

async function ownSession(
  model: WorkerModel,
  options: SessionOptions | undefined,
): Promise<WorkerSession> {
  const session = await model.session(options);
  return Object.assign(session, { dispose: () => model.dispose() });
}

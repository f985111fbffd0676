// A session on a model in a worker of its own.
import type { ModelSource } from "../../src/runtime/runtime.ts";
import type { SessionOptions } from "../../src/types.ts";
import type { WorkerModel, WorkerSession, WorkerSessionOptions } from "../session-api.ts";
import { loadOnWorker, type WorkerPlatform } from "./load.ts";

/** As `createWorkerSession` of client.ts, on `platform`. */
export async function sessionOnWorker(
  platform: WorkerPlatform,
  source: ModelSource,
  { session: wanted, ...options }: WorkerSessionOptions,
): Promise<WorkerSession> {
  const model = await loadOnWorker(platform, source, options);
  try {
    return await ownSession(model, wanted);
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

async function ownSession(
  model: WorkerModel,
  options: SessionOptions | undefined,
): Promise<WorkerSession> {
  const session = await model.session(options);
  return Object.assign(session, { dispose: () => model.dispose() });
}

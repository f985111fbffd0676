// A page and its worker in one process: both ends of a MessageChannel, with everything between them real.
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { serveOne } from "../../../workers/host/serve.ts";
import type { SpawnedWorker } from "../../../workers/remote/connection.ts";
import { loadOnWorker, type WorkerPlatform } from "../../../workers/remote/load.ts";
import { sessionOnWorker } from "../../../workers/remote/session.ts";
import type { createWorkerSession, loadInWorker } from "../../../workers/client.ts";

export interface Rig {
  readonly loadInWorker: typeof loadInWorker;
  readonly createWorkerSession: typeof createWorkerSession;
  /** Workers started and not terminated. */
  readonly nAlive: () => number;
  /** What the platform says when a worker dies. */
  kill(reason: string): void;
}

export function createRig(more: Partial<WorkerPlatform> = {}): Rig {
  let kill: (reason: string) => void = () => {};
  let nAlive = 0;
  const spawn = (): SpawnedWorker => {
    const { port1, port2 } = new MessageChannel();
    nAlive++;
    serveOne(nodeRuntime, port2);
    return {
      endpoint: port1,
      onFailure: (callback) => (kill = callback),
      terminate: () => {
        nAlive--;
        port1.close();
      },
    };
  };
  const resolve = (place: string): string => place;
  const platform = { spawn, resolve, resolveModule: resolve, ...more };
  return {
    loadInWorker: (source, options = {}) => loadOnWorker(platform, source, options),
    createWorkerSession: (source, options = {}) => sessionOnWorker(platform, source, options),
    nAlive: () => nAlive,
    kill: (reason) => kill(reason),
  };
}

// `kvasir/worker` in Deno.
import { cwd } from "node:process";
import { pathToFileURL } from "node:url";
import { workerFunctions } from "./create.ts";

export { type ErrorCode, KvasirError } from "../src/errors.ts";

export const { loadInWorker, createWorkerSession } = workerFunctions({
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
      terminate: () => worker.terminate(),
    };
  },
  resolve: (place) => place,
  resolveModule: (place) => new URL(place, pathToFileURL(`${cwd()}/`)).href,
});

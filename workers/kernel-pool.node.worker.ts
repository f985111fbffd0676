// A worker of the thread pool in Node.
import { parentPort } from "node:worker_threads";
import { type PoolWorkerInit, runPoolWorker } from "../src/engine/wasm/pool/pool-worker.ts";

parentPort?.once("message", (init: PoolWorkerInit) => runPoolWorker(init));

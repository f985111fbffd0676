// A worker of the thread pool in browsers and Deno.
import { type PoolWorkerInit, runPoolWorker } from "../src/engine/wasm/pool/pool-worker.ts";

globalThis.onmessage = ({ data }: MessageEvent<PoolWorkerInit>) => runPoolWorker(data);

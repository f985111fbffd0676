// The worker that holds a model, in Node.
import { parentPort } from "node:worker_threads";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { nodeRuntime } from "../src/runtime/node.ts";
import { serveOne } from "./host/serve.ts";

if (parentPort !== null) serveOne(nodeRuntime, nodeEndpoint(parentPort));

// comlink has types for this file, but not under the name that can be imported.
declare module "comlink/dist/esm/node-adapter.mjs" {
  import type { Endpoint } from "comlink";
  import type { MessagePort, Worker } from "node:worker_threads";

  /** worker_threads speak another dialect than workers of the web. */
  export default function nodeEndpoint(port: Worker | MessagePort): Endpoint;
}

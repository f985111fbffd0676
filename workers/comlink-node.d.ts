// comlink has types for this file, but not under the name that can be imported.
declare module "comlink/dist/esm/node-adapter.mjs" {
  import type { Endpoint } from "comlink";

  /** worker_threads speak another dialect than workers of the web. */
  export default function nodeEndpoint(port: {
    postMessage(message: unknown, transfer?: readonly never[]): void;
    on(event: string, listener: (...args: never[]) => void): unknown;
    off(event: string, listener: (...args: never[]) => void): unknown;
  }): Endpoint;
}

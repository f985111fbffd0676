// A web server on 127.0.0.1 that misbehaves as told: cuts, errors, no ranges, other statuses.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Faults {
  /** Answer Range requests with 206. Default true. */
  ranges?: boolean;
  /** Statuses of the first answers; then the file. */
  statuses?: number[];
  /** How many bytes to send before cutting the connection, for the answers in order; then no cut. */
  cuts?: number[];
  /** Send no Content-Length on whole answers. */
  isChunked?: boolean;
  /** Stop sending without closing, once, after so many bytes. */
  stallAfter?: number;
  /** Set by the server when it has stalled. */
  release?: () => void;
  /** Overrides the file's identity per answer; undefined sends none. */
  etag?: (nRequests: number) => string | undefined;
  lastModified?: string;
  /** Milliseconds between pieces of 64 KiB. */
  paceMs?: number;
}

export interface FaultServer {
  readonly url: string;
  /** The Range header of each request so far. */
  readonly ranges: (string | undefined)[];
  /** Answers being sent. */
  nAnswers(): number;
  /** Sends the rest of the answer that stalled. */
  release(): void;
  /** Puts another file behind the URL; its ETag is the caller's to change. */
  replace(bytes: Uint8Array): void;
  close(): Promise<void>;
}

export async function startFaultServer(
  bytes: Uint8Array,
  faults: Faults = {},
): Promise<FaultServer> {
  const ranges: (string | undefined)[] = [];
  let nAnswers = 0;
  let file = bytes;
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    nAnswers += 1;
    response.on("close", () => (nAnswers -= 1));
    // Readable from pages of other origins.
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Expose-Headers", "ETag, Content-Range");
    const status = faults.statuses?.shift();
    if (status !== undefined) response.writeHead(status).end("no");
    else answer(request, response, file, faults, ranges.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/model.gguf`,
    ranges,
    nAnswers: () => nAnswers,
    release: () => faults.release?.(),
    replace: (other) => void (file = other),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  faults: Faults,
  nRequests: number,
): void {
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const isRange = asked !== null && faults.ranges !== false;
  const start = isRange ? Number(asked[1]) : 0;
  const etag = faults.etag === undefined ? '"one"' : faults.etag(nRequests);
  if (etag !== undefined) response.setHeader("ETag", etag);
  if (faults.lastModified !== undefined) response.setHeader("Last-Modified", faults.lastModified);
  if (isRange && start >= bytes.length) {
    response.setHeader("Content-Range", `bytes */${bytes.length}`);
    response.writeHead(416).end("past the end");
    return;
  }
  if (isRange) {
    response.statusCode = 206;
    response.setHeader("Content-Range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
  }
  if (faults.isChunked !== true) response.setHeader("Content-Length", bytes.length - start);
  send(response, bytes.subarray(start), faults);
}

function send(response: ServerResponse, rest: Uint8Array, faults: Faults): void {
  const cut = faults.cuts?.shift();
  const { stallAfter } = faults;
  response.on("error", () => undefined); // the client may leave at any time
  if (stallAfter !== undefined) {
    delete faults.stallAfter;
    response.write(rest.subarray(0, stallAfter));
    faults.release = () => response.end(rest.subarray(stallAfter));
  } else if (faults.paceMs !== undefined) {
    response.flushHeaders();
    void sendSlowly(response, rest, faults);
  } else if (cut === undefined || cut >= rest.length) {
    response.flushHeaders(); // else Node adds a Content-Length of its own
    response.end(rest);
  } else {
    response.flushHeaders();
    // The callback comes once the bytes are with the system; the reset follows them.
    response.write(rest.subarray(0, cut), () => setTimeout(() => response.destroy(), 5));
  }
}

async function sendSlowly(
  response: ServerResponse,
  rest: Uint8Array,
  faults: Faults,
): Promise<void> {
  for (let at = 0; at < rest.length && !response.destroyed; at += 1 << 16) {
    response.write(rest.subarray(at, at + (1 << 16)));
    await new Promise((resolve) => setTimeout(resolve, faults.paceMs));
  }
  response.end();
}

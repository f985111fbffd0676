// What an answer to a request for "bytes=N-" says about the file.
import { KvasirError } from "../errors.ts";

/** An answer that repeating cannot mend; the `cause` of the `network` error that is thrown for it. */
export class FinalError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export interface Answer {
  /** Offset of the first byte that the answer brings. */
  readonly start: number;
  /** Bytes of the whole file. */
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly isRange: boolean;
}

/** @throws {KvasirError} `not-found`; {FinalError}; {Error} for what may pass. */
export function readAnswer(response: Response, url: string, position: number): Answer {
  const { status, headers } = response;
  const etag = headers.get("etag") ?? undefined;
  const range = headers.get("content-range");
  if (status === 416 && range === `bytes */${position}`) {
    return { start: position, size: position, etag, isRange: true }; // nothing is left to send
  }
  refuse(status, url);
  if (status !== 206) return { start: 0, size: lengthOf(headers, 0), etag, isRange: false };
  const parsed = /^bytes (\d+)-\d+\/(\d+)$/.exec(range ?? "");
  if (parsed !== null) {
    return { start: Number(parsed[1]), size: Number(parsed[2]), etag, isRange: true };
  }
  // Content-Range may be hidden by CORS; with "bytes=N-" the length tells as much.
  return { start: position, size: lengthOf(headers, position), etag, isRange: true };
}

function refuse(status: number, url: string): void {
  if (status === 200 || status === 206) return;
  const message = `the server answered ${status}`;
  if (status === 404 || status === 410) {
    throw new KvasirError("not-found", `Cannot read "${url}": ${message}`);
  }
  const mayPass = status >= 500 || status === 408 || status === 425 || status === 429;
  throw mayPass ? new Error(message) : new FinalError(message, status);
}

/** Bytes of the whole file, by an answer that starts at `start`. */
function lengthOf(headers: Headers, start: number): number | undefined {
  const length = headers.get("content-length");
  const isPlain = (headers.get("content-encoding") ?? "identity") === "identity";
  return length === null || !isPlain ? undefined : start + Number(length);
}

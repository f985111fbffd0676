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

/** The bytes behind the URL are not those that the reading began with. */
export class ChangedError extends FinalError {}

/** What tells one version of a file from another; undefined where the server does not say. */
export interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Bytes of the whole file. */
  readonly size: number | undefined;
}

/** Whether two answers may be of the same file. ETags decide where both are known. */
export function isSameFile(a: Validators, b: Validators): boolean {
  if (differ(a.size, b.size) || differ(a.etag, b.etag)) return false;
  const hasEtags = a.etag !== undefined && b.etag !== undefined;
  return hasEtags || !differ(a.lastModified, b.lastModified);
}

function differ<T>(a: T | undefined, b: T | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

export interface Answer extends Validators {
  /** Offset of the first byte that the answer brings. */
  readonly start: number;
  readonly isRange: boolean;
}

/** @throws {KvasirError} `not-found`; {FinalError}; {Error} for what may pass. */
export function readAnswer(response: Response, url: string, position: number): Answer {
  const { status, headers } = response;
  const etag = headers.get("etag") ?? undefined;
  const lastModified = headers.get("last-modified") ?? undefined;
  const validators = { etag, lastModified };
  const range = headers.get("content-range");
  if (status === 416 && range === `bytes */${position}`) {
    return { ...validators, start: position, size: position, isRange: true }; // nothing is left to send
  }
  refuse(status, url);
  if (status !== 206) {
    return { ...validators, start: 0, size: lengthOf(headers, 0), isRange: false };
  }
  const parsed = /^bytes (\d+)-\d+\/(\d+)$/.exec(range ?? "");
  if (parsed !== null) {
    const [start, size] = [Number(parsed[1]), Number(parsed[2])];
    return { ...validators, start, size, isRange: true };
  }
  // Content-Range may be hidden by CORS; with "bytes=N-" the length tells as much.
  return { ...validators, start: position, size: lengthOf(headers, position), isRange: true };
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

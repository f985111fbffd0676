// A URL to a file on disk (Node and Deno): checked, and complete or not there at all.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { DownloadProgress } from "./runtime.ts";
import { KvasirError, throwIfAborted } from "../errors.ts";
import { FinalError } from "./http-answer.ts";
import { HttpStream, type HttpOptions } from "./http-stream.ts";
import { compareSha256 } from "./open-source.ts";

export interface DownloadOptions extends HttpOptions {
  /** Expected SHA-256, hex. With it an earlier run's `.part` is continued, else it is started anew. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/**
 * Downloads `url` to `path`, through `path.part` and a rename. A file that is there already is kept
 * when its SHA-256 is right or none is given.
 *
 * @throws {KvasirError} `not-found`, `network`, `aborted` (the part stays), `checksum` (it does not).
 */
export async function download(
  url: string | URL,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { sha256, signal } = options;
  if (await isComplete(path, sha256, signal)) return;
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.part`;
  const hadPart = sha256 !== undefined && (await sizeOf(part)) > 0;
  if (!hadPart) await rm(part, { force: true });
  try {
    await downloadPart(String(url), part, options);
  } catch (error) {
    // The old part may have been of another file: once more, from nothing.
    if (!hadPart || !isWrongPart(error)) throw error;
    await rm(part, { force: true });
    await downloadPart(String(url), part, options);
  }
  await rename(part, path);
}

/** SHA-256 of a file, hex. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  return (await addFile(createHash("sha256"), path, signal)).digest("hex");
}

async function addFile(hash: Hash, path: string, signal: AbortSignal | undefined): Promise<Hash> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    throwIfAborted(signal, `check "${path}"`);
    hash.update(chunk as Uint8Array);
  }
  return hash;
}

async function isComplete(
  path: string,
  sha256: string | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if ((await sizeOf(path)) < 0) return false;
  return sha256 === undefined || (await hashFile(path, signal)) === sha256.toLowerCase();
}

/** @returns -1 where there is no such file. */
async function sizeOf(path: string): Promise<number> {
  const status = await stat(path).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  });
  return status?.size ?? -1;
}

function isWrongPart(error: unknown): boolean {
  if (!(error instanceof KvasirError)) return false;
  const isTooLong = error.cause instanceof FinalError && error.cause.status === 416;
  return error.code === "checksum" || isTooLong;
}

/** Continues `part` to the end of the file and checks it. */
async function downloadPart(url: string, part: string, options: DownloadOptions): Promise<void> {
  const { sha256, signal } = options;
  const hash = createHash("sha256");
  const start = Math.max(0, await sizeOf(part));
  if (start > 0) await addFile(hash, part, signal);
  const stream = await HttpStream.open(url, options, start, signal);
  const file = await open(part, "a");
  try {
    await append(stream, file, hash, options);
  } finally {
    stream.cancel();
    await file.close();
  }
  if (sha256 === undefined) return;
  try {
    compareSha256(url, hash.digest("hex"), sha256);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function append(
  stream: HttpStream,
  file: FileHandle,
  hash: Hash,
  { signal, onProgress }: DownloadOptions,
): Promise<void> {
  for (;;) {
    const chunk = await stream.next(signal);
    if (chunk === null) break;
    hash.update(chunk);
    for (let done = 0; done < chunk.byteLength;) {
      done += (await file.write(chunk, done)).bytesWritten;
    }
    onProgress?.({ phase: "download", bytes: stream.position, totalBytes: stream.size });
  }
  await file.sync();
}

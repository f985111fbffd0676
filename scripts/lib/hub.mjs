// Downloads one file by HTTP, continuing where an earlier try stopped. No dependencies.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { say } from "./run.mjs";

const ANSWER_TIMEOUT_MS = 8000;
const ATTEMPTS = 5;

/** SHA-256 of a file, hex. */
export async function hashFile(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/**
 * Asks for a file's size and SHA-256 without downloading it. The hub answers the head request of a
 * large file with its SHA-256 as `x-linked-etag`.
 *
 * @returns `{ sha256, bytes }`, either undefined where unknown, or null where there is no such file.
 */
export async function askForFile(url) {
  try {
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const answer = await fetch(url, { method: "HEAD", redirect: "manual", signal });
    if (answer.status >= 400) return null;
    const etag = /^(?:W\/)?"?([0-9a-f]{64})"?$/.exec(answer.headers.get("x-linked-etag") ?? "");
    const size = answer.headers.get("x-linked-size");
    return { sha256: etag?.[1], bytes: size === null ? undefined : Number(size) };
  } catch {
    return null;
  }
}

/** Brings `part` to the whole file. @throws After several failures without progress. */
export async function continueDownload(url, part) {
  for (let failures = 0; ;) {
    const before = sizeOf(part);
    try {
      if (await downloadRest(url, part)) return;
    } catch (error) {
      failures = sizeOf(part) > before ? 0 : failures + 1;
      if (failures >= ATTEMPTS) throw error;
      const waitMs = 500 * 2 ** failures;
      say(`  ${error.message}; again in ${waitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/** One request. @returns true at the end of the file. */
async function downloadRest(url, part) {
  const start = sizeOf(part);
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("no answer")), ANSWER_TIMEOUT_MS);
  const headers = start > 0 ? { Range: `bytes=${start}-` } : {};
  const answer = await fetch(url, { headers, signal: controller.signal }).finally(() =>
    clearTimeout(timer),
  );
  if (answer.status === 416) return true; // nothing is left
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  const from = answer.status === 206 ? start : 0;
  const length = Number(answer.headers.get("content-length"));
  const report = progress(from, from + length);
  const out = createWriteStream(part, { flags: from > 0 ? "a" : "w" });
  await pipeline(answer.body, report, out);
  return length === 0 || sizeOf(part) >= from + length;
}

function sizeOf(path) {
  return existsSync(path) ? statSync(path).size : 0;
}

/** Passes chunks on and shows how far they are, once a second. */
function progress(from, total) {
  return async function* (chunks) {
    let bytes = from;
    let shown = Date.now();
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (Date.now() - shown > 1000) {
        shown = Date.now();
        say(`  ${megabytes(bytes)} of ${megabytes(total)}`);
      }
      yield chunk;
    }
  };
}

export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

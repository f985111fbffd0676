// What every platform opens alike: bytes, Blobs, byte sources and URLs. Paths are the platform's.
import type { ByteSource } from "../gguf/byte-source.ts";
import type { ModelSource, OpenOptions } from "./runtime.ts";
import { KvasirError, throwIfAborted } from "../errors.ts";
import { BlobSource, BufferSource } from "../gguf/sources.ts";
import { Sha256 } from "../tokenizer/sha256.ts";
import { openFetchSource } from "./fetch-source.ts";
import { HttpStream } from "./http-stream.ts";
import type { Sha256Stream } from "./storage/storage.ts";

const HASH_BLOCK_BYTES = 4 << 20;

/** Opens everything but a path or URL, which comes back as it is. */
export async function openHeldSource(
  source: ModelSource,
  options: OpenOptions = {},
): Promise<ByteSource | string | URL> {
  if (typeof source === "string" || source instanceof URL) return source;
  const opened = toByteSource(source);
  if (options.sha256 !== undefined) await checkSource(opened, options.sha256, options.signal);
  return opened;
}

function toByteSource(source: Exclude<ModelSource, string | URL>): ByteSource {
  if (source instanceof Uint8Array || source instanceof ArrayBuffer)
    return new BufferSource(source);
  if (source instanceof Blob) return new BlobSource(source);
  return source;
}

/**
 * Opens a URL where there is no disk. With an expected SHA-256 the whole file is downloaded and
 * checked first, into a Blob (which browsers may keep on disk); else it is read as it is needed.
 */
export async function openUrl(url: string, options: OpenOptions = {}): Promise<ByteSource> {
  const { sha256, signal, onProgress } = options;
  if (sha256 === undefined) return openFetchSource(url, options);
  const stream = await HttpStream.open(url, {}, 0, signal);
  const hash = new Sha256();
  const chunks: BlobPart[] = [];
  for (;;) {
    const chunk = await stream.next(signal);
    if (chunk === null) break;
    hash.update(chunk);
    chunks.push(chunk as Uint8Array<ArrayBuffer>);
    onProgress?.({ phase: "download", bytes: stream.position, totalBytes: stream.size });
  }
  compareSha256(url, hash.hex(), sha256);
  return new BlobSource(new Blob(chunks), url);
}

/** @throws {KvasirError} `checksum`. */
export async function checkSource(
  source: ByteSource,
  sha256: string,
  signal?: AbortSignal,
  hash: Sha256Stream = new Sha256(),
): Promise<void> {
  for (let offset = 0; offset < source.size; offset += HASH_BLOCK_BYTES) {
    throwIfAborted(signal, `check "${source.name}"`);
    const length = Math.min(HASH_BLOCK_BYTES, source.size - offset);
    hash.update(await source.read(offset, length, signal));
  }
  compareSha256(source.name, hash.hex(), sha256);
}

/** @throws {KvasirError} `checksum`. */
export function compareSha256(name: string, actual: string, expected: string): void {
  if (actual === expected.toLowerCase()) return;
  throw new KvasirError(
    "checksum",
    `Cannot use "${name}": its SHA-256 should be ${expected.toLowerCase()}, got ${actual}`,
  );
}

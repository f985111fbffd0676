import { open } from "node:fs/promises";
import type { ByteSource } from "../gguf/byte-source.ts";
import { KvasirError, throwIfAborted } from "../errors.ts";
import { checkRange } from "../gguf/sources.ts";

/**
 * Opens a file. `close` releases its handle.
 *
 * @throws {KvasirError} `not-found` when there is no such file, or it cannot be read.
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  const cannot = (cause: unknown): never => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot open "${path}": ${reason}`, { cause });
  };
  const handle = await open(path, "r").catch(cannot);
  const status = await handle.stat();
  if (!status.isFile()) {
    await handle.close();
    return cannot("not a file");
  }
  let isClosed = false;
  const source: ByteSource = {
    name: path,
    size: status.size,
    async read(byteOffset, byteLength, signal) {
      checkRange(source, byteOffset, byteLength);
      const bytes = new Uint8Array(byteLength);
      await readInto(byteOffset, bytes, signal);
      return bytes;
    },
    readInto,
    async close() {
      if (isClosed) return;
      isClosed = true;
      await handle.close();
    },
  };
  async function readInto(
    byteOffset: number,
    out: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    const { byteLength } = out;
    if (isClosed) throw new KvasirError("disposed", `Cannot read "${path}": closed`);
    throwIfAborted(signal, `read "${path}"`);
    checkRange(source, byteOffset, byteLength);
    for (let done = 0; done < byteLength;) {
      const { bytesRead } = await handle.read(out, done, byteLength - done, byteOffset + done);
      if (bytesRead === 0) {
        throw new KvasirError("bad-gguf", `Cannot read "${path}": it became shorter`);
      }
      done += bytesRead;
      throwIfAborted(signal, `read "${path}"`);
    }
  }
  return source;
}

// A folder on disk, for Node and Deno.
import { mkdir, open, readdir, rename, rm, stat, statfs, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { KvasirError } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import { openFileSource } from "../node-file-source.ts";
import { withLockFile } from "./fs-lock.ts";
import { createSha256 } from "./node-sha256.ts";
import {
  checkOffset,
  checkOpen,
  storageFull,
  storageUnavailable,
  type LockOptions,
  type StorageDriver,
  type StorageWriter,
  type StoredFile,
} from "./storage.ts";

const LOCK = ".lock";

/** @param folder Made when something is stored. */
export function createFsDriver(folder: string): StorageDriver {
  const pathOf = (name: string): string => join(folder, name);
  const attempt = <T>(name: string, bytes: number, action: () => Promise<T>): Promise<T> =>
    action().catch(async (error: unknown) => {
      throw await toKvasirError(error, folder, name, bytes);
    });
  const makeFolder = (): Promise<unknown> =>
    attempt(folder, 0, async () => mkdir(folder, { recursive: true }));
  return {
    name: "fs",
    list: async () => listFiles(folder),
    names: async () => listNames(folder),
    async open(name): Promise<ByteSource | null> {
      if ((await sizeOf(pathOf(name))) < 0) return null;
      return openFileSource(pathOf(name));
    },
    async write(name, byteOffset) {
      await makeFolder();
      checkOffset(name, byteOffset, Math.max(0, await sizeOf(pathOf(name))));
      return attempt(name, 0, async () => {
        const file = await open(pathOf(name), byteOffset === 0 ? "w" : "r+");
        await file.truncate(byteOffset);
        return writerOf(name, file, byteOffset, attempt);
      });
    },
    async replace(name, bytes) {
      await makeFolder();
      await attempt(name, bytes.byteLength, async () => {
        // A name of its own: two processes may replace the file at once.
        const temporary = pathOf(`${name}.${crypto.randomUUID()}.new`);
        const file = await open(temporary, "wx");
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, pathOf(name));
      });
    },
    remove: (name) => attempt(name, 0, async () => rm(pathOf(name), { force: true })),
    freeBytes: async () => freeBytes(folder),
    async lock<T>(name: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
      await makeFolder();
      return withLockFile(pathOf(`${name}${LOCK}`), options, action);
    },
    createSha256,
  };
}

function writerOf(
  name: string,
  file: FileHandle,
  byteOffset: number,
  attempt: <T>(name: string, bytes: number, action: () => Promise<T>) => Promise<T>,
): StorageWriter {
  let position = byteOffset;
  let isClosed = false;
  const flush = async (): Promise<void> => {
    checkOpen(name, isClosed);
    await attempt(name, 0, async () => file.datasync());
  };
  return {
    async write(bytes) {
      checkOpen(name, isClosed);
      for (let done = 0; done < bytes.byteLength;) {
        const left = bytes.byteLength - done;
        const step = async () => file.write(bytes, done, left, position);
        const { bytesWritten } = await attempt(name, left, step);
        done += bytesWritten;
        position += bytesWritten;
      }
    },
    flush,
    async close() {
      if (isClosed) return;
      try {
        await flush();
      } finally {
        isClosed = true;
        await file.close();
      }
    },
  };
}

async function listNames(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw storageUnavailable(`list "${folder}"`, error);
  });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith(LOCK))
    .map(({ name }) => name);
}

async function listFiles(folder: string): Promise<readonly StoredFile[]> {
  const names = await listNames(folder);
  const sizes = await Promise.all(names.map(async (name) => sizeOf(join(folder, name))));
  return names
    .map((name, i) => ({ name, byteLength: sizes[i] ?? -1 }))
    .filter(({ byteLength }) => byteLength >= 0);
}

/** @returns -1 where there is no such file. */
async function sizeOf(path: string): Promise<number> {
  const status = await stat(path).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw storageUnavailable(`look at "${path}"`, error);
  });
  return status?.size ?? -1;
}

async function freeBytes(folder: string): Promise<number | undefined> {
  const found = await statfs(folder).catch(() => undefined); // no folder yet, or a system without it
  return found === undefined ? undefined : found.bavail * found.bsize;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

async function toKvasirError(
  error: unknown,
  folder: string,
  name: string,
  bytes: number,
): Promise<KvasirError> {
  if (error instanceof KvasirError) return error;
  const code = codeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return storageFull(name, bytes, await freeBytes(folder), error);
  }
  return storageUnavailable(`store "${name}"`, error);
}

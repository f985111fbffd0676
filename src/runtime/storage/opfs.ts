// The origin's private file system, for pages and workers of browsers.
//
// A file is a folder of parts, each named by the byte it begins at. Where there are sync access
// handles (dedicated workers) one part grows in place. Elsewhere a part only comes to be when its
// stream is closed, so that each `flush` ends one; both read what the other wrote.
import { KvasirError } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import { BlobSource, ConcatSource } from "../../gguf/sources.ts";
import { Sha256 } from "../../tokenizer/sha256.ts";
import { OpfsWriter } from "./opfs-writer.ts";
import {
  checkOffset,
  storageFull,
  storageUnavailable,
  type LockOptions,
  type StorageDriver,
  type StorageWriter,
  type StoredFile,
} from "./storage.ts";
import { lockBusy, Turns } from "./turns.ts";

interface Part {
  readonly handle: FileSystemFileHandle;
  readonly begin: number;
  readonly file: File;
}

/** Whether this page or worker has a private file system: not in insecure contexts. */
export function hasOpfs(): boolean {
  return typeof globalThis.navigator?.storage?.getDirectory === "function";
}

/** @param folder Path below the origin's root, such as "kvasir/models". */
export function createOpfsDriver(folder: string): StorageDriver {
  return new OpfsDriver(folder);
}

const turns = new Turns();

class OpfsDriver implements StorageDriver {
  readonly name = "opfs";
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<readonly StoredFile[]> {
    const folder = await this.#open(false);
    if (folder === null) return [];
    const files: StoredFile[] = [];
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "file") continue;
      const parts = await partsOf(handle as FileSystemDirectoryHandle);
      files.push({ name, byteLength: parts.reduce((sum, { file }) => sum + file.size, 0) });
    }
    return files;
  }

  async names(): Promise<readonly string[]> {
    const names: string[] = [];
    const folder = await this.#open(false);
    if (folder === null) return names;
    for await (const [name, { kind }] of folder.entries())
      if (kind === "directory") names.push(name);
    return names;
  }

  async open(name: string): Promise<ByteSource | null> {
    const folder = await this.#fileFolder(name, false);
    if (folder === null) return null;
    const parts = await partsOf(folder);
    let end = 0;
    for (const { begin, file } of parts) {
      if (begin !== end) break;
      end += file.size;
    }
    const sources = parts
      .filter(({ begin }) => begin < end)
      .map(({ file }) => new BlobSource(file, name));
    return sources.length === 0
      ? new BlobSource(new Blob(), name)
      : new ConcatSource(sources, name);
  }

  async write(name: string, byteOffset: number): Promise<StorageWriter> {
    const source = await this.open(name);
    checkOffset(name, byteOffset, source?.size ?? 0);
    return this.#attempt(name, 0, async () => {
      const folder = await this.#fileFolder(name, true);
      if (folder === null) throw new Error("no folder");
      await cutOff(folder, byteOffset);
      return new OpfsWriter(folder, byteOffset, (bytes, action) =>
        this.#attempt(name, bytes, action),
      );
    });
  }

  /** A part of another name is written first; taking the old one's name is one step. */
  async replace(name: string, bytes: Uint8Array): Promise<void> {
    await this.#attempt(name, bytes.byteLength, async () => {
      const folder = await this.#fileFolder(name, true);
      if (folder === null) throw new Error("no folder");
      const temporary = `new-${crypto.randomUUID()}`;
      await OpfsWriter.writeWhole(folder, temporary, bytes);
      const handle = await folder.getFileHandle(temporary);
      await (handle as Movable).move("0");
    });
  }

  async remove(name: string): Promise<void> {
    const folder = await this.#open(false);
    await folder?.removeEntry(name, { recursive: true }).catch((error: unknown) => {
      if (!isNamed(error, "NotFoundError")) throw storageUnavailable(`remove "${name}"`, error);
    });
  }

  async freeBytes(): Promise<number | undefined> {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? undefined : Math.max(0, quota - (usage ?? 0));
  }

  async lock<T>(name: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
    const { locks } = navigator as { readonly locks?: LockManager };
    const { signal, isWaiting = true } = options;
    const full = `${this.#folder}/${name}`;
    if (locks === undefined) return turns.run(full, options, action);
    let hasBegun = false;
    const begin = async (lock: Lock | null): Promise<T> => {
      hasBegun = true;
      if (lock === null) throw lockBusy(name);
      return action();
    };
    try {
      // A signal and `ifAvailable` exclude each other.
      if (!isWaiting) return await locks.request(full, { ifAvailable: true }, begin);
      return await locks.request(full, signal === undefined ? {} : { signal }, begin);
    } catch (cause) {
      if (hasBegun || signal?.aborted !== true) throw cause;
      throw new KvasirError("aborted", `Cannot wait for "${name}": aborted`, {
        cause: signal.reason,
      });
    }
  }

  createSha256(): Sha256 {
    return new Sha256();
  }

  async #open(isMade: boolean): Promise<FileSystemDirectoryHandle | null> {
    let folder: FileSystemDirectoryHandle;
    try {
      folder = await navigator.storage.getDirectory();
    } catch (cause) {
      throw storageUnavailable("open the origin's private file system", cause);
    }
    for (const name of this.#folder.split("/")) {
      const inside = await folderIn(folder, name, isMade);
      if (inside === null) return null;
      folder = inside;
    }
    return folder;
  }

  async #fileFolder(name: string, isMade: boolean): Promise<FileSystemDirectoryHandle | null> {
    const folder = await this.#open(isMade);
    return folder === null ? null : folderIn(folder, name, isMade);
  }

  async #attempt<T>(name: string, bytes: number, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof KvasirError) throw error;
      if (isNamed(error, "QuotaExceededError")) {
        throw storageFull(name, bytes, await this.freeBytes(), error);
      }
      throw storageUnavailable(`store "${name}"`, error);
    }
  }
}

/** In every browser that has the file system, but not in TypeScript's library. */
interface Movable extends FileSystemFileHandle {
  move(name: string): Promise<void>;
}

async function folderIn(
  folder: FileSystemDirectoryHandle,
  name: string,
  isMade: boolean,
): Promise<FileSystemDirectoryHandle | null> {
  try {
    return await folder.getDirectoryHandle(name, { create: isMade });
  } catch (error) {
    if (isNamed(error, "NotFoundError")) return null;
    throw storageUnavailable(`open "${name}" in the private file system`, error);
  }
}

/** In the order of the file. */
async function partsOf(folder: FileSystemDirectoryHandle): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const [name, handle] of folder.entries()) {
    if (!/^\d+$/.test(name) || handle.kind !== "file") continue; // a temporary one
    const own = handle as FileSystemFileHandle;
    const file = await own.getFile().catch((error: unknown) => {
      if (isNamed(error, "NotFoundError")) return null; // another tab has just removed it
      throw storageUnavailable(`read "${folder.name}" in the private file system`, error);
    });
    if (file !== null) parts.push({ handle: own, begin: Number(name), file });
  }
  return parts.sort((a, b) => a.begin - b.begin);
}

async function cutOff(folder: FileSystemDirectoryHandle, byteOffset: number): Promise<void> {
  for (const { handle, begin, file } of await partsOf(folder)) {
    if (begin >= byteOffset) await folder.removeEntry(handle.name);
    else if (begin + file.size > byteOffset) await OpfsWriter.truncate(handle, byteOffset - begin);
  }
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

// Storage that ends with the program: for tests, and platforms that keep nothing.
import type { ByteSource } from "../../gguf/byte-source.ts";
import { BlobSource } from "../../gguf/sources.ts";
import { Sha256 } from "../../tokenizer/sha256.ts";
import {
  checkOffset,
  checkOpen,
  storageFull,
  type LockOptions,
  type StorageDriver,
  type StorageWriter,
  type StoredFile,
} from "./storage.ts";
import { Turns } from "./turns.ts";

/** @param options.maxBytes Room for all files together. Default: no limit. */
export function createMemoryDriver(options: { readonly maxBytes?: number } = {}): StorageDriver {
  return new MemoryDriver(options.maxBytes);
}

class MemoryDriver implements StorageDriver {
  readonly name = "memory";
  /** Blobs, since they are cut and joined without a copy. */
  readonly #files = new Map<string, Blob>();
  readonly #turns = new Turns();
  readonly #maxBytes: number | undefined;

  constructor(maxBytes: number | undefined) {
    this.#maxBytes = maxBytes;
  }

  list(): Promise<readonly StoredFile[]> {
    const files = [...this.#files].map(([name, { size }]) => ({ name, byteLength: size }));
    return Promise.resolve(files);
  }

  names(): Promise<readonly string[]> {
    return Promise.resolve([...this.#files.keys()]);
  }

  open(name: string): Promise<ByteSource | null> {
    const blob = this.#files.get(name);
    return Promise.resolve(blob === undefined ? null : new BlobSource(blob, name));
  }

  async write(name: string, byteOffset: number): Promise<StorageWriter> {
    const old = this.#files.get(name) ?? new Blob();
    checkOffset(name, byteOffset, old.size);
    this.#files.set(name, old.slice(0, byteOffset));
    let isClosed = false;
    return {
      write: async (bytes) => {
        checkOpen(name, isClosed);
        this.#set(name, [this.#files.get(name) ?? new Blob(), bytes]);
      },
      flush: async () => checkOpen(name, isClosed),
      close: async () => void (isClosed = true),
    };
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    this.#set(name, [bytes]);
  }

  async remove(name: string): Promise<void> {
    this.#files.delete(name);
  }

  async freeBytes(): Promise<number | undefined> {
    if (this.#maxBytes === undefined) return undefined;
    const used = [...this.#files.values()].reduce((sum, { size }) => sum + size, 0);
    return this.#maxBytes - used;
  }

  lock<T>(name: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
    return this.#turns.run(name, options, action);
  }

  createSha256(): Sha256 {
    return new Sha256();
  }

  #set(name: string, parts: readonly (Blob | Uint8Array)[]): void {
    const blob = new Blob(parts as BlobPart[]);
    let others = 0;
    for (const [other, { size }] of this.#files) if (other !== name) others += size;
    if (this.#maxBytes !== undefined && others + blob.size > this.#maxBytes) {
      const held = this.#files.get(name)?.size ?? 0;
      throw storageFull(name, blob.size - held, this.#maxBytes - others - held);
    }
    this.#files.set(name, blob);
  }
}

// Writes a file of the private file system, in the way that the page or worker has.
import { checkOpen, type StorageWriter } from "./storage.ts";

/** Runs a step that stores so many bytes, and turns what it throws into our words. */
export type Attempt = <T>(bytes: number, action: () => Promise<T>) => Promise<T>;

/** One part being written: a sync access handle grows in place, a stream appears when it ends. */
interface OpenPart {
  write(bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
  /** Whether `flush` needs `close` to be true. */
  readonly isLate: boolean;
}

export class OpfsWriter implements StorageWriter {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #attempt: Attempt;
  #position: number;
  #part: OpenPart | null = null;
  #isClosed = false;

  constructor(folder: FileSystemDirectoryHandle, byteOffset: number, attempt: Attempt) {
    this.#folder = folder;
    this.#position = byteOffset;
    this.#attempt = attempt;
  }

  /** A new file of a folder, whole. */
  static async writeWhole(
    folder: FileSystemDirectoryHandle,
    name: string,
    bytes: Uint8Array,
  ): Promise<void> {
    const part = await openPart(await folder.getFileHandle(name, { create: true }));
    await part.write(bytes);
    await part.close();
  }

  static async truncate(handle: FileSystemFileHandle, byteLength: number): Promise<void> {
    if (hasSyncAccess(handle)) {
      const access = await openAccess(handle);
      access.truncate(byteLength);
      access.close();
      return;
    }
    const stream = await handle.createWritable({ keepExistingData: true });
    await stream.truncate(byteLength);
    await stream.close();
  }

  async write(bytes: Uint8Array): Promise<void> {
    checkOpen(this.#folder.name, this.#isClosed);
    await this.#attempt(bytes.byteLength, async () => {
      const name = String(this.#position);
      this.#part ??= await openPart(await this.#folder.getFileHandle(name, { create: true }));
      await this.#part.write(bytes);
    });
    this.#position += bytes.byteLength;
  }

  async flush(): Promise<void> {
    checkOpen(this.#folder.name, this.#isClosed);
    const part = this.#part;
    if (part === null) return;
    if (part.isLate) this.#part = null;
    await this.#attempt(0, async () => (part.isLate ? part.close() : part.flush()));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const part = this.#part;
    this.#part = null;
    if (part !== null) await this.#attempt(0, async () => part.close());
  }
}

async function openPart(handle: FileSystemFileHandle): Promise<OpenPart> {
  return hasSyncAccess(handle) ? openInPlace(handle) : openStream(handle);
}

function hasSyncAccess(handle: FileSystemFileHandle): handle is SyncAccessible {
  return "createSyncAccessHandle" in handle;
}

/** TypeScript has it in its library of workers only. */
interface SyncAccessible extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
}

interface SyncAccessHandle {
  getSize(): number;
  /** @returns Bytes written. */
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(byteLength: number): void;
  flush(): void;
  close(): void;
}

/** A tab that was just closed may hold its handle for a moment longer than its lock. */
const HANDLE_TRIES = 20;
const HANDLE_WAIT_MS = 50;

async function openAccess(handle: SyncAccessible): Promise<SyncAccessHandle> {
  for (let i = 1; ; i++) {
    try {
      return await handle.createSyncAccessHandle();
    } catch (error) {
      const isHeld = error instanceof Error && error.name === "NoModificationAllowedError";
      if (!isHeld || i === HANDLE_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, HANDLE_WAIT_MS));
    }
  }
}

async function openInPlace(handle: SyncAccessible): Promise<OpenPart> {
  const access = await openAccess(handle);
  access.truncate(0);
  let at = 0;
  return {
    isLate: false,
    async write(bytes) {
      for (let done = 0; done < bytes.byteLength;) {
        const written = access.write(bytes.subarray(done), { at });
        if (written === 0) throw new DOMException("nothing could be written", "QuotaExceededError");
        done += written;
        at += written;
      }
    },
    flush: async () => access.flush(),
    async close() {
      try {
        access.flush();
      } finally {
        access.close();
      }
    },
  };
}

/**
 * Chromium names a full disk only where the bytes fit its pipe; longer writes end with an AbortError
 * that could mean anything.
 */
const STREAM_WRITE_BYTES = 1 << 19;

async function openStream(handle: FileSystemFileHandle): Promise<OpenPart> {
  const stream = await handle.createWritable();
  return {
    isLate: true,
    async write(bytes) {
      for (let at = 0; at < bytes.byteLength; at += STREAM_WRITE_BYTES) {
        const step = bytes.subarray(at, at + STREAM_WRITE_BYTES);
        await stream.write(step as Uint8Array<ArrayBuffer>);
      }
    },
    flush: async () => undefined,
    close: async () => stream.close(),
  };
}

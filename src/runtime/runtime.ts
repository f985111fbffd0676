import type { ByteSource } from "../gguf/byte-source.ts";

/** What kvasir needs from the platform. `runtime/<name>.ts` are the only files that name one. */
export interface Runtime {
  readonly name: "browser" | "deno" | "node" | "workerd" | "other";
  /** The compiled kernels: a module, since Workers only instantiate modules compiled in advance. */
  loadKernels(build: KernelBuild): Promise<WebAssembly.Module>;
  /** Opens a path, URL, File or Blob, or bytes. @throws {KvasirError} `not-found`, `network`. */
  openByteSource(source: ModelSource, options?: OpenOptions): Promise<ByteSource>;
  /**
   * Models kept on this machine, under a name of its own. Absent where nothing is kept (Workers).
   *
   * @throws {KvasirError} `unavailable` in a page without a private file system.
   */
  modelStore?(name?: string): Promise<ModelStore>;
  /** Physical cores, as far as the platform tells: what `threads` is by default. */
  readonly hardwareThreads: number;
  /**
   * A worker that runs `runPoolWorker` on the first message it gets; absent where there are none or
   * memory cannot be shared with them.
   */
  spawnKernelWorker?(): KernelWorker | null;
  /** Small texts for the next run; absent where nothing is kept (Workers). */
  readonly notes?: Notes;
  /** `navigator.gpu`, or what stands for it; null or absent where there is no WebGPU. */
  gpu?(): Promise<object | null>;
}

/** Small texts by name, kept on this machine. Both may fail where the platform refuses. */
export interface Notes {
  /** @returns null where there is none. */
  read(name: string): Promise<string | null>;
  /** Names are letters, digits, ".", "-" and "_". */
  write(name: string, text: string): Promise<void>;
}

export interface KernelWorker {
  post(message: unknown): void;
  /** Called at most once, when the worker cannot start or dies. */
  onFailure(callback: (reason: string) => void): void;
  /** The worker has answered: from now on its end is noticed, where the platform sends no message. */
  watch?(): void;
  terminate(): void;
}

/**
 * `simd128` runs everywhere, `relaxed` is faster where relaxed SIMD exists, `-threads` shares its
 * memory with workers; same bits.
 */
export type KernelBuild = "simd128" | "relaxed" | "simd128-threads" | "relaxed-threads";

export type ModelSource = string | URL | Blob | Uint8Array | ArrayBuffer | ByteSource;

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** Expected SHA-256, hex. */
  readonly sha256?: string;
  readonly onProgress?: (progress: OpenProgress) => void;
  /** As in `LoadOptions`. */
  readonly store?: boolean | string;
  /** As in `LoadOptions`. */
  readonly revalidate?: boolean;
}

export interface OpenProgress {
  /**
   * `download`: bytes arrive. `wait`: another tab or process downloads the same file. `check`: a
   * stored file's SHA-256 is computed.
   */
  readonly phase: "download" | "wait" | "check";
  readonly bytes: number;
  /** undefined where the server does not say. */
  readonly totalBytes: number | undefined;
}

/**
 * Models kept on this machine, so that the next load needs no network. Downloads are continued where
 * they broke, shared between tabs and processes, and only seen by others once they are whole; what is
 * read back is checked, piece by piece, against hashes taken when it was stored.
 */
export interface ModelStore {
  /** Whole models and unfinished downloads, in no order. */
  list(): Promise<readonly StoredModel[]>;
  /** Bytes that all of them hold, and bytes that may still be stored (undefined: nobody says). */
  size(): Promise<{ readonly bytes: number; readonly freeBytes: number | undefined }>;
  /**
   * Opens a model by its URL, or by the name that `add` gave it; downloads what is missing.
   *
   * @throws {KvasirError} `not-found`, `network`, `checksum`, `storage-full` with bytes wanted and
   *   available, `unavailable`, `aborted`. A download that ends so is continued by the next `open`,
   *   except after `checksum` and `storage-full`, which leave nothing.
   */
  open(url: string | URL, options?: Omit<OpenOptions, "store">): Promise<ByteSource>;
  /**
   * Stores a File or Blob under a name, for `load(await store.open(name))` without asking again.
   *
   * @throws {KvasirError} `bad-option` for a name that is a URL, `checksum`, `storage-full`, `aborted`.
   */
  add(name: string, blob: Blob, options?: Omit<OpenOptions, "store" | "revalidate">): Promise<void>;
  /**
   * Removes a model or an unfinished download.
   *
   * @returns false where there is none.
   * @throws {KvasirError} `busy` while it is being downloaded.
   */
  delete(url: string | URL): Promise<boolean>;
}

export interface StoredModel {
  /** The URL that it came from, or the name that `add` gave it. */
  readonly url: string;
  /** Bytes stored. */
  readonly bytes: number;
  /** Bytes of the whole; undefined where an unfinished download does not know. */
  readonly totalBytes: number | undefined;
  readonly isComplete: boolean;
  /** Known where it was asked for once; lower case. */
  readonly sha256: string | undefined;
  /** When the download ended, or got so far. */
  readonly storedAt: Date;
}

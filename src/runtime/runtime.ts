import type { ByteSource } from "../gguf/byte-source.ts";

/** What kvasir needs from the platform. `runtime/<name>.ts` are the only files that name one. */
export interface Runtime {
  readonly name: "browser" | "deno" | "node" | "workerd" | "other";
  /** The compiled kernels: a module, since Workers only instantiate modules compiled in advance. */
  loadKernels(build: KernelBuild): Promise<WebAssembly.Module>;
  /** Opens a path, URL, File or Blob, or bytes. @throws {KvasirError} `not-found`, `network`. */
  openByteSource(source: ModelSource, options?: OpenOptions): Promise<ByteSource>;
  readonly hardwareThreads: number;
  /**
   * A worker that runs `runPoolWorker` on the first message it gets; absent where there are none or
   * memory cannot be shared with them.
   */
  spawnKernelWorker?(): KernelWorker | null;
}

export interface KernelWorker {
  post(message: unknown): void;
  /** Called at most once, when the worker cannot start or dies. */
  onFailure(callback: (reason: string) => void): void;
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
  readonly onProgress?: (progress: DownloadProgress) => void;
}

export interface DownloadProgress {
  readonly phase: "download";
  readonly bytes: number;
  readonly totalBytes: number | undefined;
}

import type { ByteSource } from "../gguf/byte-source.ts";

/** What kvasir needs from the platform. `runtime/<name>.ts` are the only files that name one. */
export interface Runtime {
  readonly name: "browser" | "deno" | "node" | "workerd" | "other";
  /** The compiled kernels: a module, since Workers only instantiate modules compiled in advance. */
  loadKernels(build: KernelBuild): Promise<WebAssembly.Module>;
  /** Opens a path, URL, File or Blob, or bytes. @throws {KvasirError} `not-found`, `network`. */
  openByteSource(source: ModelSource, options?: OpenOptions): Promise<ByteSource>;
  readonly hardwareThreads: number;
}

/** `simd128` runs everywhere, `relaxed` is faster where relaxed SIMD exists; same bits. */
export type KernelBuild = "simd128" | "relaxed";

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

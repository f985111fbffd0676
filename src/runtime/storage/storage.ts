// What the model store needs of a place that outlives the program. One driver per file beside this
// one, all tested by one contract suite; drivers know nothing of models, URLs or checksums.
import { KvasirError } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";

/** A flat folder of files. Names are letters, digits, ".", "-" and "_". */
export interface StorageDriver {
  readonly name: "opfs" | "fs" | "memory";
  /** Every file, also those being written. Nothing where the folder is not there yet. */
  list(): Promise<readonly StoredFile[]>;
  /** The names of `list`, which cost less. */
  names(): Promise<readonly string[]>;
  /** @returns null where there is no such file. What was written after a `flush` may be missing. */
  open(name: string): Promise<ByteSource | null>;
  /**
   * Creates a file or goes on with it. What lies behind `byteOffset` is cut off; the file must hold
   * so many bytes.
   *
   * @throws {KvasirError} `bad-option` when it holds fewer, `unavailable` when nothing can be stored.
   */
  write(name: string, byteOffset: number): Promise<StorageWriter>;
  /** Replaces a small file whole: readers see the old bytes or the new ones, never a mixture. */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  /** No error where there is no such file. */
  remove(name: string): Promise<void>;
  /** Bytes that can still be stored; undefined where the platform does not say. */
  freeBytes(): Promise<number | undefined>;
  /**
   * Runs `action` while nobody else, in any tab or process that shares the folder, holds the lock.
   * A holder that dies loses it.
   *
   * @throws {KvasirError} `aborted` while waiting; `busy` with `isWaiting` false when it is held.
   */
  lock<T>(name: string, options: LockOptions, action: () => Promise<T>): Promise<T>;
  /** SHA-256 of bytes that come one after another; fast where the platform helps. */
  createSha256(): Sha256Stream;
}

export interface StorageWriter {
  /** Appends; the caller leaves the bytes alone until it is done. @throws {KvasirError} `storage-full`. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was written until now outlives this page or process. @throws {KvasirError} `storage-full`. */
  flush(): Promise<void>;
  /** `flush`, then nothing may be written any more. */
  close(): Promise<void>;
}

export interface StoredFile {
  readonly name: string;
  readonly byteLength: number;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default true. */
  readonly isWaiting?: boolean;
}

export interface Sha256Stream {
  update(bytes: Uint8Array): unknown;
  /** Lower case; nothing may be added afterwards. */
  hex(): string;
}

/** The error of a driver that has no room; `availableBytes` undefined where nobody knows. */
export function storageFull(
  what: string,
  wantedBytes: number,
  availableBytes: number | undefined,
  cause?: unknown,
): KvasirError {
  const available =
    availableBytes === undefined ? "fewer are available" : `${availableBytes} bytes are available`;
  const message = `Cannot store "${what}": ${wantedBytes} bytes are wanted, ${available}`;
  return new KvasirError("storage-full", message, { cause });
}

/** The error of a driver whose platform refuses: no permission, a private window, a broken disk. */
export function storageUnavailable(action: string, cause: unknown): KvasirError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new KvasirError("unavailable", `Cannot ${action}: ${reason}`, { cause });
}

/** @throws {KvasirError} `bad-option` unless the file holds `byteOffset` bytes to go on from. */
export function checkOffset(name: string, byteOffset: number, byteLength: number): void {
  if (byteOffset <= byteLength) return;
  throw new KvasirError(
    "bad-option",
    `Cannot write "${name}" from byte ${byteOffset}: it holds ${byteLength} bytes`,
  );
}

/** @throws {KvasirError} `disposed`. */
export function checkOpen(name: string, isClosed: boolean): void {
  if (isClosed) throw new KvasirError("disposed", `Cannot write "${name}": closed`);
}

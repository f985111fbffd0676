/** Random access to the bytes of a file that is never held whole. */
export interface ByteSource {
  /** For messages: a path, a URL or a file name. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Reads exactly `byteLength` bytes.
   *
   * @returns A fresh array owned by the caller.
   * @throws {KvasirError} `bad-gguf` when the range passes the end, `network` or `aborted`.
   */
  read(byteOffset: number, byteLength: number, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * As `read`, into all of the caller's `out`: readers of many slices need no memory for each. `out` may
   * lie in shared memory. Where it throws, `out` may be filled in part.
   */
  readInto?(byteOffset: number, out: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Releases file handles and the like; the source is unusable afterwards. */
  close?(): Promise<void>;
  /**
   * As `close`, by a reader that got all it wanted: a download under way is stored to its end first,
   * where `close` breaks it off.
   *
   * @throws {KvasirError} What ended the download, where the caller asked for it to be kept.
   */
  finish?(): Promise<void>;
}

// One opening that has to ask the server: downloads what is missing or was replaced there, continues
// what broke. Everything here happens under the lock of the URL.
import { KvasirError, throwIfAborted } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import { ChangedError, FinalError, isSameFile } from "../http-answer.ts";
import { HttpStream, type HttpOptions } from "../http-stream.ts";
import { compareSha256 } from "../open-source.ts";
import type { OpenOptions } from "../runtime.ts";
import { fill, type FillOptions } from "./fill.ts";
import { FillingSource } from "./filling-source.ts";
import { hashPiece, PIECE_BYTES, type StoreRecord, type Version } from "./record.ts";
import type { Records } from "./records.ts";
import { shareProgress } from "./shared-progress.ts";
import type { StorageDriver } from "../storage/storage.ts";

export interface OnlineParts {
  readonly driver: StorageDriver;
  readonly records: Records;
  readonly http: HttpOptions;
}

/** Takes a source that can be read before all of it is stored. */
export type GiveEarly = ((source: ByteSource) => void) | undefined;

export class Online {
  readonly #driver: StorageDriver;
  readonly #records: Records;
  readonly #http: HttpOptions;
  readonly #url: string;
  readonly #id: string;
  readonly #options: OpenOptions;
  readonly #giveEarly: GiveEarly;
  #hasGiven = false;

  constructor(
    { driver, records, http }: OnlineParts,
    url: string,
    id: string,
    options: OpenOptions,
    giveEarly: GiveEarly,
  ) {
    this.#driver = driver;
    this.#records = records;
    this.#http = http;
    this.#url = url;
    this.#id = id;
    this.#options = options;
    this.#giveEarly = giveEarly;
  }

  /** What is stored where the server still has the same, else what it has now. */
  async open(): Promise<ByteSource> {
    const empty = { url: this.#url, complete: null, part: null };
    const record = (await this.#records.load(this.#id)) ?? empty;
    try {
      return await this.#ask(record);
    } catch (error) {
      // What was gone on with may have been of another file: once more, from nothing.
      const isStale = isChange(error) || (record.part !== null && isMismatch(error));
      if (this.#hasGiven || !isStale) throw error;
      const now = (await this.#records.load(this.#id)) ?? record;
      if (now.part !== null) await this.#records.save(this.#id, { ...now, part: null });
      return this.#ask({ ...now, part: null });
    }
  }

  async #ask(record: StoreRecord): Promise<ByteSource> {
    const { sha256, signal } = this.#options;
    const held = await this.#records.open(this.#id, record);
    if (held !== null && record.complete !== null) {
      const isCurrent = await closeIfFails(held, this.#isCurrent(record.complete));
      if (isCurrent && sha256 === undefined) return held;
      const isRight =
        isCurrent &&
        (await closeIfFails(held, this.#isRight(record, record.complete, sha256 ?? "")));
      if (isRight) return held;
      await held.close?.();
    }
    const start = await this.#startOf(record.part);
    const stream = await HttpStream.open(this.#url, this.#http, start, signal);
    try {
      return await this.#download(record, stream, start);
    } finally {
      stream.cancel();
    }
  }

  /** Whether the server still has this version; where it cannot say, what is stored is good. */
  async #isCurrent(version: Version): Promise<boolean> {
    const { signal } = this.#options;
    try {
      const http = { ...this.#http, attempts: 1, stallMs: 5_000 };
      const stream = await HttpStream.open(this.#url, http, 0, signal);
      stream.cancel();
      return isSameFile(stream.validators, version.validators);
    } catch (error) {
      throwIfAborted(signal, `open "${this.#url}"`);
      if (error instanceof KvasirError) return true; // offline, or gone from the server
      throw error;
    }
  }

  /** Bytes of the part that are there to go on from; 0 where it was cut off or removed. */
  async #startOf(part: Version | null): Promise<number> {
    if (part === null) return 0;
    const source = await this.#driver.open(part.file);
    await source?.close?.();
    return source === null || source.size < part.byteLength ? 0 : part.byteLength;
  }

  async #download(record: StoreRecord, stream: HttpStream, start: number): Promise<ByteSource> {
    const { part } = record;
    const isContinued =
      part !== null && start > 0 && isSameFile(stream.validators, part.validators);
    if (!isContinued) stream.seek(0);
    const state = isContinued ? record : { ...record, part: null };
    const { size } = stream;
    if (this.#giveEarly === undefined || isContinued || size === undefined) {
      return this.#fill(state, stream, this.#options);
    }
    const { signal } = this.#options;
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal?.reason);
    const filling = new FillingSource(this.#url, size, abort);
    const onPiece = (index: number, bytes: Uint8Array): void => filling.offer(index, bytes);
    signal?.addEventListener("abort", abort, { once: true });
    this.#hasGiven = true;
    this.#giveEarly(filling);
    try {
      const options = { ...this.#options, signal: controller.signal, onPiece };
      const stored = await this.#fill(state, stream, options);
      filling.end(stored);
      return stored;
    } catch (error) {
      filling.fail(error as Error);
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async #fill(state: StoreRecord, stream: HttpStream, options: FillOptions): Promise<ByteSource> {
    const share = shareProgress(this.#driver, this.#id);
    const onProgress: FillOptions["onProgress"] = (progress) => {
      options.onProgress?.(progress);
      share.post(progress);
    };
    try {
      const own = { ...options, onProgress };
      const done = await fill(this.#driver, this.#records, this.#id, state, stream, own);
      const source = await this.#records.open(this.#id, done);
      if (source !== null) return source;
    } finally {
      share.close();
    }
    throw new KvasirError("unavailable", `Cannot store "${this.#url}": its bytes did not stay`);
  }

  /**
   * The server still has what is stored; is it what the caller expects?
   *
   * @returns false where it was damaged in storage.
   * @throws {KvasirError} `checksum`.
   */
  async #isRight(record: StoreRecord, complete: Version, sha256: string): Promise<boolean> {
    const { signal, onProgress } = this.#options;
    if (complete.sha256 !== undefined) compareSha256(this.#url, complete.sha256, sha256);
    const source = await this.#driver.open(complete.file);
    if (source === null) return false;
    const whole = this.#driver.createSha256();
    const totalBytes = source.size;
    try {
      for (const [i, hash] of complete.pieces.entries()) {
        const at = i * PIECE_BYTES;
        const piece = await source.read(at, Math.min(PIECE_BYTES, totalBytes - at), signal);
        if ((await hashPiece(piece)) !== hash) return false;
        whole.update(piece);
        onProgress?.({ phase: "check", bytes: at + piece.byteLength, totalBytes });
      }
    } finally {
      await source.close?.();
    }
    const actual = whole.hex();
    const known = { ...complete, sha256: actual };
    await this.#records.save(this.#id, { ...record, complete: known });
    compareSha256(this.#url, actual, sha256);
    return true;
  }
}

async function closeIfFails<T>(source: ByteSource, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** The file was replaced while it was downloaded, or is shorter than what was stored of it. */
function isChange(error: unknown): boolean {
  if (!(error instanceof KvasirError)) return false;
  const { cause } = error;
  return cause instanceof ChangedError || (cause instanceof FinalError && cause.status === 416);
}

function isMismatch(error: unknown): boolean {
  return error instanceof KvasirError && error.code === "checksum";
}

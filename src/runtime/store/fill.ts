// One download, or one Blob, into the store. The caller holds the lock of its URL.
import { KvasirError } from "../../errors.ts";
import type { Validators } from "../http-answer.ts";
import { compareSha256 } from "../open-source.ts";
import type { OpenProgress } from "../runtime.ts";
import { PartWriter, type OnPiece } from "./part-writer.ts";
import { newDataFile, PIECE_BYTES, type StoreRecord, type Version } from "./record.ts";
import type { Records } from "./records.ts";
import { storageFull, type Sha256Stream, type StorageDriver } from "../storage/storage.ts";

/** After so many bytes the record says how far the download got; more are lost with the page. */
const CHECKPOINT_BYTES = 4 * PIECE_BYTES;

/** Where the bytes come from, in order; an `HttpStream` is one. */
export interface Feed {
  /** Offset of the next byte. */
  readonly position: number;
  readonly validators: Validators;
  /** @returns Never none, null at the end. */
  next(signal?: AbortSignal): Promise<Uint8Array | null>;
}

export interface FillOptions {
  readonly sha256?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
  readonly onPiece?: OnPiece | undefined;
}

/**
 * Stores what `feed` brings and makes it the record's complete version.
 *
 * @param record Its part, if it has one, is gone on with, and ends where `feed` stands.
 * @throws {KvasirError} `checksum` and `storage-full`: the part is gone. Others: it stays as far as
 *   it got. What was complete before stays in each case.
 */
export async function fill(
  driver: StorageDriver,
  records: Records,
  id: string,
  record: StoreRecord,
  feed: Feed,
  options: FillOptions,
): Promise<StoreRecord> {
  const filling = new Filling(driver, records, id, record, feed, options);
  try {
    await filling.makeRoom();
    return await filling.run();
  } catch (error) {
    const code = error instanceof KvasirError ? error.code : undefined;
    if (code === "checksum" || code === "storage-full") await filling.discard();
    throw code === "storage-full" ? filling.toWhole(error) : error;
  }
}

class Filling {
  readonly #driver: StorageDriver;
  readonly #records: Records;
  readonly #id: string;
  readonly #feed: Feed;
  readonly #options: FillOptions;
  #record: StoreRecord;
  #part: Version;
  #writer: PartWriter | null = null;

  constructor(
    driver: StorageDriver,
    records: Records,
    id: string,
    record: StoreRecord,
    feed: Feed,
    options: FillOptions,
  ) {
    this.#driver = driver;
    this.#records = records;
    this.#id = id;
    this.#feed = feed;
    this.#options = options;
    const { validators } = feed;
    const empty = { file: newDataFile(id), byteLength: 0, pieces: [] };
    const old = record.part ?? empty;
    this.#part = { ...old, validators, sha256: undefined, storedAt: Date.now() };
    this.#record = { ...record, part: this.#part };
  }

  /** A driver that runs full knows the bytes that it failed at; callers want those of the model. */
  toWhole(error: unknown): unknown {
    if (this.#writer === null) return error;
    const start = this.#part.byteLength;
    const wanted = this.#feed.validators.size ?? this.#feed.position;
    // What fitted is certain; browsers blur what they say is free.
    const fitted = this.#writer.byteLength;
    return storageFull(this.#record.url, wanted - start, fitted - start, error);
  }

  /** A version that the server has replaced goes first where both do not fit. */
  async makeRoom(): Promise<void> {
    const { size } = this.#feed.validators;
    if (size === undefined) return;
    const wanted = size - this.#feed.position;
    let free = await this.#driver.freeBytes();
    if (free !== undefined && wanted > free && this.#record.complete !== null) {
      await this.#save({ ...this.#record, complete: null });
      free = await this.#driver.freeBytes();
    }
    if (free !== undefined && wanted > free) throw storageFull(this.#record.url, wanted, free);
  }

  async run(): Promise<StoreRecord> {
    const { sha256 } = this.#options;
    const whole = sha256 === undefined ? undefined : await this.#hashPart();
    await this.#save(this.#record);
    const writer = await this.#driver.write(this.#part.file, this.#part.byteLength);
    const part = new PartWriter(writer, this.#part.pieces, whole, this.#options.onPiece);
    this.#writer = part;
    try {
      await this.#copy(part);
    } catch (error) {
      await this.#keep(part, error);
      throw error;
    } finally {
      await writer.close().catch(() => undefined); // what matters was flushed, or has failed
    }
    const hash = whole?.hex();
    if (sha256 !== undefined) compareSha256(this.#record.url, hash ?? "", sha256);
    const complete = this.#version(part, hash);
    return this.#save({ ...this.#record, complete, part: null });
  }

  /** Forgets the part. */
  async discard(): Promise<void> {
    await this.#save({ ...this.#record, part: null });
  }

  async #copy(part: PartWriter): Promise<void> {
    const { signal, onProgress } = this.#options;
    let checkpoint = part.byteLength + CHECKPOINT_BYTES;
    for (;;) {
      const bytes = await this.#feed.next(signal);
      if (bytes === null) break;
      await part.add(bytes);
      const { size } = this.#feed.validators;
      onProgress?.({ phase: "download", bytes: this.#feed.position, totalBytes: size });
      if (part.byteLength < checkpoint) continue;
      await part.flush();
      checkpoint = part.byteLength + CHECKPOINT_BYTES;
      await this.#save({ ...this.#record, part: this.#version(part) });
    }
    await part.finish();
  }

  /** After a failure: what has been stored of whole pieces is gone on with by the next. */
  async #keep(part: PartWriter, error: unknown): Promise<void> {
    if (error instanceof KvasirError && error.code === "storage-full") return;
    try {
      await part.flush();
      await this.#save({ ...this.#record, part: this.#version(part) });
    } catch {
      // The first failure says more; the part stays as of its last checkpoint.
    }
  }

  #version(part: PartWriter, sha256?: string): Version {
    const { byteLength, pieces } = part;
    const { validators } = this.#feed;
    return { ...this.#part, byteLength, pieces, validators, sha256, storedAt: Date.now() };
  }

  async #save(record: StoreRecord): Promise<StoreRecord> {
    this.#record = record;
    await this.#records.save(this.#id, record);
    return record;
  }

  /** The hash of a whole file has to see what an earlier run stored. */
  async #hashPart(): Promise<Sha256Stream> {
    const hash = this.#driver.createSha256();
    const { file, byteLength } = this.#part;
    const source = byteLength === 0 ? null : await this.#driver.open(file);
    for (let at = 0; at < byteLength; at += PIECE_BYTES) {
      hash.update((await source?.read(at, PIECE_BYTES, this.#options.signal)) ?? new Uint8Array());
    }
    await source?.close?.();
    return hash;
  }
}

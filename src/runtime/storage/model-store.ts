// Models by URL, over any storage driver: downloads what is missing or was replaced on the server,
// continues what broke, opens what is whole.
import { KvasirError, throwIfAborted } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import { ChangedError, FinalError, isSameFile } from "../http-answer.ts";
import { HttpStream, type HttpOptions } from "../http-stream.ts";
import { compareSha256 } from "../open-source.ts";
import type { ModelStore, OpenOptions, StoredModel } from "../runtime.ts";
import { fill, type Feed, type FillOptions } from "./fill.ts";
import { idOf, PIECE_BYTES, type StoreRecord, type Version } from "./record.ts";
import { Records } from "./records.ts";
import { listenToProgress, shareProgress } from "./shared-progress.ts";
import type { StorageDriver } from "./storage.ts";
import { VerifiedSource } from "./verified-source.ts";

type StoreOptions = Omit<OpenOptions, "store">;

/** @param http How downloads are made; tests wait less between repeats. */
export function createModelStore(driver: StorageDriver, http: HttpOptions = {}): ModelStore {
  return new DriverStore(driver, http);
}

class DriverStore implements ModelStore {
  readonly #driver: StorageDriver;
  readonly #records: Records;
  readonly #http: HttpOptions;

  constructor(driver: StorageDriver, http: HttpOptions) {
    this.#driver = driver;
    this.#records = new Records(driver);
    // What is kept here need not be kept by the browser too, and its answer may be old.
    this.#http = { cache: "no-store", ...http };
  }

  async list(): Promise<readonly StoredModel[]> {
    return (await this.#records.all()).flatMap(({ url, complete, part }) => {
      const version = complete ?? part;
      if (version === null) return [];
      const { byteLength: bytes, validators, sha256, storedAt } = version;
      const isComplete = complete !== null;
      const totalBytes = isComplete ? bytes : validators.size;
      return [{ url, bytes, totalBytes, isComplete, sha256, storedAt: new Date(storedAt) }];
    });
  }

  async size(): Promise<{ readonly bytes: number; readonly freeBytes: number | undefined }> {
    return { bytes: await this.#records.bytes(), freeBytes: await this.#driver.freeBytes() };
  }

  async open(source: string | URL, options: StoreOptions = {}): Promise<ByteSource> {
    const url = keyOf(source);
    const id = idOf(url);
    const { signal, onProgress } = options;
    const asked = Date.now();
    const stored = await this.#openStored(id, options);
    if (stored !== null) return stored;
    const stopListening = listenToProgress(this.#driver, id, onProgress);
    try {
      return await this.#driver.lock(id, { signal }, async () => {
        stopListening();
        // Meanwhile somebody else may have stored it; what is so new need not be asked about.
        const { complete } = await this.#recordOf(url, id);
        const isNew = complete !== null && complete.storedAt >= asked;
        const again = isNew ? { ...options, revalidate: false } : options;
        return (await this.#openStored(id, again)) ?? (await this.#openOnline(url, id, options));
      });
    } finally {
      stopListening();
    }
  }

  async add(name: string, blob: Blob, options: StoreOptions = {}): Promise<void> {
    if (isUrl(name)) {
      const what = `Cannot store a Blob as "${name}": URLs are for downloads`;
      throw new KvasirError("bad-option", what);
    }
    const id = idOf(name);
    await this.#driver.lock(id, { signal: options.signal }, async () => {
      const record = await this.#recordOf(name, id);
      const feed = feedOf(blob);
      await fill(this.#driver, this.#records, id, { ...record, part: null }, feed, options);
    });
  }

  async delete(source: string | URL): Promise<boolean> {
    const id = idOf(keyOf(source));
    return this.#driver.lock(id, { isWaiting: false }, async () => this.#records.remove(id));
  }

  async #recordOf(url: string, id: string): Promise<StoreRecord> {
    return (await this.#records.load(id)) ?? { url, complete: null, part: null };
  }

  /** What can be opened without asking the server; null where it must be asked. */
  async #openStored(id: string, options: StoreOptions): Promise<ByteSource | null> {
    const sha256 = options.sha256?.toLowerCase();
    const own = await this.#records.load(id);
    if (sha256 === undefined) {
      const mustAsk = options.revalidate !== false && isUrl(own?.url ?? "");
      return mustAsk || own === null ? null : this.#openVersion(id, own);
    }
    if (own?.complete?.sha256 === sha256) return this.#openVersion(id, own);
    const same = (await this.#records.all()).find(({ complete }) => complete?.sha256 === sha256);
    return same === undefined ? null : this.#openVersion(same.id, same);
  }

  async #openVersion(id: string, { url, complete }: StoreRecord): Promise<ByteSource | null> {
    if (complete === null) return null;
    const source = await this.#driver.open(complete.file);
    if (source?.size === complete.byteLength) {
      const forget = async (): Promise<void> => this.#forget(id, complete);
      return new VerifiedSource(url, source, complete.pieces, forget);
    }
    await source?.close?.(); // cut off, or removed by hand
    return null;
  }

  /** Removes a version that turned out to be damaged, unless it was replaced meanwhile. */
  async #forget(id: string, { file }: Version): Promise<void> {
    await this.#driver.lock(id, {}, async () => {
      const record = await this.#records.load(id);
      if (record?.complete?.file === file) {
        await this.#records.save(id, { ...record, complete: null });
      }
    });
  }

  /** Asks the server, and downloads unless it still has what is stored. Under the lock. */
  async #openOnline(url: string, id: string, options: StoreOptions): Promise<ByteSource> {
    const record = await this.#recordOf(url, id);
    if (!isUrl(url)) throw new KvasirError("not-found", `Cannot open "${url}": it is not stored`);
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === 2;
      const state = isLast ? { ...record, part: null } : record;
      try {
        return await this.#ask(url, id, state, options);
      } catch (error) {
        const { part } = (await this.#records.load(id)) ?? record;
        // What was gone on with may have been of another file: once more, from nothing.
        const isStale = isChange(error) || (record.part !== null && isMismatch(error));
        if (isLast || !isStale) throw error;
        if (part !== null) await this.#records.save(id, { ...record, part: null });
      }
    }
  }

  async #ask(
    url: string,
    id: string,
    record: StoreRecord,
    options: StoreOptions,
  ): Promise<ByteSource> {
    const held = await this.#openVersion(id, record);
    if (held !== null && record.complete !== null) {
      const asking = this.#isCurrent(url, record.complete, options);
      const isCurrent = await closeIfFails(held, asking);
      if (isCurrent) {
        const { sha256 } = options;
        if (sha256 === undefined) return held;
        return this.#check(id, record, held, { ...options, sha256 });
      }
      await held.close?.();
    }
    const start = await this.#startOf(record.part);
    const stream = await HttpStream.open(url, this.#http, start, options.signal);
    try {
      return await this.#download(id, record, stream, start, options);
    } finally {
      stream.cancel();
    }
  }

  /** Whether the server still has this version; where it cannot say, what is stored is good. */
  async #isCurrent(url: string, version: Version, options: StoreOptions): Promise<boolean> {
    const { signal } = options;
    try {
      const http = { ...this.#http, attempts: 1, stallMs: 5_000 };
      const stream = await HttpStream.open(url, http, 0, signal);
      stream.cancel();
      return isSameFile(stream.validators, version.validators);
    } catch (error) {
      throwIfAborted(signal, `open "${url}"`);
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

  async #download(
    id: string,
    record: StoreRecord,
    stream: HttpStream,
    start: number,
    options: StoreOptions,
  ): Promise<ByteSource> {
    const { part } = record;
    const isContinued =
      part !== null && start > 0 && isSameFile(stream.validators, part.validators);
    if (!isContinued) stream.seek(0);
    const share = shareProgress(this.#driver, id);
    const fillOptions: FillOptions = {
      ...options,
      onProgress(progress) {
        options.onProgress?.(progress);
        share.post(progress);
      },
    };
    try {
      const state = isContinued ? record : { ...record, part: null };
      const done = await fill(this.#driver, this.#records, id, state, stream, fillOptions);
      const source = await this.#openVersion(id, done);
      if (source !== null) return source;
    } finally {
      share.close();
    }
    throw new KvasirError("unavailable", `Cannot store "${record.url}": its bytes did not stay`);
  }

  /** The server still has what is stored, and nobody knows its SHA-256 yet. */
  async #check(
    id: string,
    record: StoreRecord,
    held: ByteSource,
    options: StoreOptions & { readonly sha256: string },
  ): Promise<ByteSource> {
    const { sha256, signal, onProgress } = options;
    const known = record.complete?.sha256;
    const hash = this.#driver.createSha256();
    const totalBytes = held.size;
    const check = async (): Promise<ByteSource> => {
      if (known !== undefined) compareSha256(record.url, known, sha256);
      for (let at = 0; at < totalBytes; at += PIECE_BYTES) {
        const length = Math.min(PIECE_BYTES, totalBytes - at);
        hash.update(await held.read(at, length, signal));
        onProgress?.({ phase: "check", bytes: at + length, totalBytes });
      }
      const actual = hash.hex();
      if (record.complete !== null) {
        const complete = { ...record.complete, sha256: actual };
        await this.#records.save(id, { ...record, complete });
      }
      compareSha256(record.url, actual, sha256);
      return held;
    };
    return closeIfFails(held, check());
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

function feedOf(blob: Blob): Feed {
  let position = 0;
  return {
    get position() {
      return position;
    },
    validators: { etag: undefined, lastModified: undefined, size: blob.size },
    async next(signal) {
      throwIfAborted(signal, "store a Blob");
      if (position >= blob.size) return null;
      const bytes = await blob.slice(position, position + PIECE_BYTES).arrayBuffer();
      position += bytes.byteLength;
      return new Uint8Array(bytes);
    },
  };
}

function isUrl(name: string): boolean {
  return /^https?:/i.test(name);
}

function keyOf(source: string | URL): string {
  const text = String(source);
  return isUrl(text) ? text.replace(/#.*$/s, "") : text;
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

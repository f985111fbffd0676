// Models by URL, over any storage driver: what can be opened as it is, and what online.ts has to ask for.
import { KvasirError, throwIfAborted } from "../../errors.ts";
import type { ByteSource } from "../../gguf/byte-source.ts";
import type { HttpOptions } from "../http-stream.ts";
import type { EarlyStore } from "../open-stored.ts";
import type { OpenOptions, StoredModel } from "../runtime.ts";
import { fill, type Feed } from "./fill.ts";
import { Online, type GiveEarly } from "./online.ts";
import { idOf, PIECE_BYTES, type StoreRecord } from "./record.ts";
import { Records } from "./records.ts";
import { listenToProgress } from "./shared-progress.ts";
import type { StorageDriver } from "../storage/storage.ts";

type StoreOptions = Omit<OpenOptions, "store">;

/** @param http How downloads are made; tests wait less between repeats. */
export function createModelStore(driver: StorageDriver, http: HttpOptions = {}): EarlyStore {
  return new DriverStore(driver, http);
}

class DriverStore implements EarlyStore {
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

  open(source: string | URL, options: StoreOptions = {}): Promise<ByteSource> {
    return this.#open(source, options);
  }

  openEarly(source: string | URL, options: StoreOptions = {}): Promise<ByteSource> {
    // What is expected of the whole file must hold before anything is done with it.
    if (options.sha256 !== undefined) return this.open(source, options);
    return new Promise((resolve, reject) => {
      this.#open(source, options, resolve).then(resolve, reject);
    });
  }

  async #open(
    source: string | URL,
    options: StoreOptions,
    giveEarly?: GiveEarly,
  ): Promise<ByteSource> {
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
        const stored = await this.#openStored(id, again);
        if (stored !== null) return stored;
        if (!isUrl(url)) {
          throw new KvasirError("not-found", `Cannot open "${url}": it is not stored`);
        }
        const parts = { driver: this.#driver, records: this.#records, http: this.#http };
        return new Online(parts, url, id, options, giveEarly).open();
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
      return mustAsk || own === null ? null : this.#records.open(id, own);
    }
    if (own?.complete?.sha256 === sha256) return this.#records.open(id, own);
    const same = (await this.#records.all()).find(({ complete }) => complete?.sha256 === sha256);
    return same === undefined ? null : this.#records.open(same.id, same);
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

// The records of a store, and the files that they alone keep alive.
import type { ByteSource } from "../../gguf/byte-source.ts";
import {
  isRecordFile,
  readRecord,
  recordFile,
  writeRecord,
  type StoreRecord,
  type Version,
} from "./record.ts";
import type { StorageDriver } from "../storage/storage.ts";
import { VerifiedSource } from "./verified-source.ts";

export class Records {
  readonly #driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
  }

  /** @returns null where there is none, or one that cannot be read. */
  async load(id: string): Promise<StoreRecord | null> {
    const source = await this.#driver.open(recordFile(id));
    if (source === null) return null;
    try {
      return readRecord(await source.read(0, source.size));
    } finally {
      await source.close?.();
    }
  }

  /** Opens the complete version; null where there is none, or its bytes are not all there. */
  async open(id: string, { url, complete }: StoreRecord): Promise<ByteSource | null> {
    if (complete === null) return null;
    const source = await this.#driver.open(complete.file);
    if (source?.size === complete.byteLength) {
      const forget = async (): Promise<void> => this.#forget(id, complete);
      return new VerifiedSource(url, source, complete.pieces, forget);
    }
    await source?.close?.(); // cut off, or removed by hand
    return null;
  }

  async all(): Promise<readonly (StoreRecord & { readonly id: string })[]> {
    const names = await this.#driver.names();
    const ids = names.filter(isRecordFile).map((name) => name.slice(0, name.indexOf(".")));
    const records = await Promise.all(ids.map(async (id) => this.load(id)));
    return records.flatMap((record, i) =>
      record === null ? [] : [{ ...record, id: ids[i] ?? "" }],
    );
  }

  /** Writes a record, or with no version left removes it; then the files that no version names. */
  async save(id: string, record: StoreRecord): Promise<void> {
    const versions = [record.complete, record.part].filter((one): one is Version => one !== null);
    if (versions.length > 0) await this.#driver.replace(recordFile(id), writeRecord(record));
    const used = new Set(versions.map(({ file }) => file));
    if (versions.length > 0) used.add(recordFile(id));
    await this.#sweep(id, used);
  }

  /** @returns Whether there was anything. */
  async remove(id: string): Promise<boolean> {
    return this.#sweep(id, new Set());
  }

  /** Bytes of all files that are a store's. */
  async bytes(): Promise<number> {
    const files = await this.#driver.list();
    return files
      .filter(({ name }) => /^[0-9a-f]{32}[-.]/.test(name))
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Removes a version that turned out to be damaged, unless it was replaced meanwhile. */
  async #forget(id: string, { file }: Version): Promise<void> {
    await this.#driver.lock(id, {}, async () => {
      const record = await this.load(id);
      if (record?.complete?.file === file) await this.save(id, { ...record, complete: null });
    });
  }

  /** The record goes first: without it the data is nothing. */
  async #sweep(id: string, used: ReadonlySet<string>): Promise<boolean> {
    const own = (await this.#driver.names())
      .filter((name) => name.startsWith(id) && !used.has(name))
      .sort((a, b) => Number(b === recordFile(id)) - Number(a === recordFile(id)));
    for (const name of own) await this.#driver.remove(name);
    return own.length > 0;
  }
}

// Whether and where a URL is kept, by the options of a load.
import { KvasirError } from "../errors.ts";
import type { ByteSource } from "../gguf/byte-source.ts";
import { openUrl } from "./open-source.ts";
import type { ModelStore, OpenOptions } from "./runtime.ts";
import { FallbackSource, isStoreFailure } from "./store/fallback-source.ts";

/** A store as loading uses it. */
export interface EarlyStore extends ModelStore {
  /** As `open`, but what is downloaded anew can be read while it comes. */
  openEarly(url: string | URL, options?: Omit<OpenOptions, "store">): Promise<ByteSource>;
}

/**
 * Opens a URL through the platform's store.
 *
 * @returns null where it is to be read without one: it is not of the web, the caller said so, or the
 *   caller said nothing and there is no store or no room.
 */
export async function openThroughStore(
  url: string,
  options: OpenOptions,
  openStore: (name?: string) => Promise<EarlyStore>,
): Promise<ByteSource | null> {
  const { store } = options;
  if (store === false || !/^https?:/i.test(url)) return null;
  try {
    const models = await openStore(typeof store === "string" ? store : undefined);
    const source = await models.openEarly(url, options);
    const isStored = source.finish === undefined;
    if (isStored || store !== undefined) return source;
    return new FallbackSource(source, async () => openUrl(url, options));
  } catch (error) {
    if (store === undefined && isStoreFailure(error)) return null;
    throw error;
  }
}

/** @throws {KvasirError} `bad-option`: a store is a folder of that name. */
export function checkStoreName(name = "models"): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) return name;
  throw new KvasirError(
    "bad-option",
    `Cannot open the model store: its name must be 1 to 64 letters, digits, "-" and "_", ` +
      `got "${name}"`,
  );
}

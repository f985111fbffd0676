// Notes on a storage driver: small texts, each a file that is replaced whole.
import type { Notes } from "../runtime.ts";
import type { StorageDriver } from "./storage.ts";

/** More than any note holds: a file that is larger is none. */
const MAX_BYTES = 65_536;

/** @param open Called at the first use; a platform that keeps nothing throws `unavailable` there. */
export function createNotes(open: () => Promise<StorageDriver>): Notes {
  let driver: Promise<StorageDriver> | null = null;
  const opened = (): Promise<StorageDriver> => (driver ??= open());
  return {
    async read(name) {
      const file = await (await opened()).open(name);
      if (file === null) return null;
      try {
        if (file.size > MAX_BYTES) return null;
        return new TextDecoder().decode(await file.read(0, file.size));
      } finally {
        await file.close?.();
      }
    },
    async write(name, text) {
      await (await opened()).replace(name, new TextEncoder().encode(text));
    },
  };
}

// A lock between processes: a file that its holder keeps touching. One that was left alone for long
// belonged to a process that died, and is taken over.
import { open, rename, rm, stat, utimes } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../../errors.ts";
import { storageUnavailable, type LockOptions } from "./storage.ts";
import { lockBusy, Turns } from "./turns.ts";

const TOUCH_MS = 2_000;
const STALE_MS = 15_000;
const POLL_MS = 100;

/** Within this process first; many waiters then make one that polls. */
const turns = new Turns();

/** As `StorageDriver.lock`, by a file at `path`, whose folder is there. */
export function withLockFile<T>(
  path: string,
  options: LockOptions,
  action: () => Promise<T>,
): Promise<T> {
  return turns.run(path, options, async () => {
    const held = await acquire(path, options);
    const touching = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined); // taken over: its new holder touches it
    }, TOUCH_MS);
    touching.unref();
    try {
      return await action();
    } finally {
      clearInterval(touching);
      const found = await stat(path).catch(() => undefined);
      if (found?.ino === held) await rm(path, { force: true }); // else it was taken over
    }
  });
}

/** @returns The inode of the lock. */
async function acquire(path: string, options: LockOptions): Promise<number> {
  const { signal, isWaiting = true } = options;
  for (;;) {
    throwIfAborted(signal, `wait for "${path}"`);
    const inode = await create(path);
    if (inode !== null) return inode;
    if (await removeStale(path)) continue;
    if (!isWaiting) throw lockBusy(path);
    await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

/** @returns null where it is there already. */
async function create(path: string): Promise<number | null> {
  try {
    const file = await open(path, "wx");
    try {
      return (await file.stat()).ino;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return null;
    throw storageUnavailable(`lock "${path}"`, error);
  }
}

/** @returns true when the lock may be there for the taking. */
async function removeStale(path: string): Promise<boolean> {
  const age = await ageMs(path);
  if (age === undefined) return true;
  if (age < STALE_MS) return false;
  // Only one of those who saw it stale can rename it.
  const aside = `${path}.${crypto.randomUUID()}`;
  const isOurs = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (isOurs) await rm(aside, { force: true });
  return true;
}

async function ageMs(path: string): Promise<number | undefined> {
  const status = await stat(path).catch(() => undefined); // it was given back meanwhile
  return status === undefined ? undefined : Date.now() - status.mtimeMs;
}

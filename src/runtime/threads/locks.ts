// Web Locks tell who is still there: pages and workers hold a lock of their own while they live, and whoever asks for it
// gets it when they are gone, however they went. Closed tabs and terminated workers send no message.

/** Browsers in secure contexts; null elsewhere. */
function lockManager(): LockManager | null {
  return (globalThis.navigator as Partial<Navigator> | undefined)?.locks ?? null;
}

export interface Life {
  readonly name: string;
  readonly release: () => void;
}

/** Holds a lock of a fresh name; null where there are no locks. */
export async function holdLife(who: "page" | "worker"): Promise<Life | null> {
  return lockManager() === null ? null : holdLock(freshName(who));
}

/** A name that no other lock has. */
export function freshName(who: string): string {
  // Without locks there may be no `randomUUID` either, and names do not matter.
  const { crypto } = globalThis as { readonly crypto?: Partial<Crypto> };
  return `kvasir ${who} ${crypto?.randomUUID?.() ?? ""}`;
}

/** Holds the lock `name`; null where another does. Without locks there is no other. */
export function holdLock(name: string): Promise<Life | null> {
  const free = { name, release: () => {} };
  const locks = lockManager();
  if (locks === null) return Promise.resolve(free);
  return new Promise((resolve) => {
    locks
      .request(name, { ifAvailable: true }, async (lock) => {
        if (lock === null) resolve(null);
        else await new Promise<void>((release) => resolve({ name, release }));
      })
      .catch(() => resolve(free)); // a page in a sandbox may have none
  });
}

/** Runs `act` while no other holds the lock `name`. */
export async function withLock<T>(name: string, act: () => Promise<T>): Promise<T> {
  const locks = lockManager();
  if (locks === null) return act();
  return locks.request(name, act);
}

/** Calls back when the holder of `name` is gone. @returns How to stop waiting. */
export function whenGone(name: string, callback: () => void): () => void {
  const abort = new AbortController();
  const asked = lockManager()?.request(name, { signal: abort.signal }, () => {
    if (!abort.signal.aborted) callback();
  });
  asked?.catch(() => {}); // stopped
  return () => abort.abort();
}

// Locks among the callers of one realm, for platforms without locks of their own.
import { KvasirError, throwIfAborted } from "../../errors.ts";
import type { LockOptions } from "./storage.ts";

export class Turns {
  /** Name -> settles when the last of the queue is done. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** As `StorageDriver.lock`, within this realm. */
  async run<T>(name: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
    const { signal, isWaiting = true } = options;
    const before = this.#last.get(name);
    if (before !== undefined && !isWaiting) throw lockBusy(name);
    let release = (): void => undefined;
    const own = new Promise<void>((resolve) => (release = resolve));
    const last = (before ?? Promise.resolve()).then(() => own);
    this.#last.set(name, last);
    try {
      await untilAborted(before, signal, name);
      return await action();
    } finally {
      release();
      if (this.#last.get(name) === last) this.#last.delete(name);
    }
  }
}

export function lockBusy(name: string): KvasirError {
  return new KvasirError("busy", `Cannot use "${name}": somebody else writes it`);
}

async function untilAborted(
  step: Promise<unknown> | undefined,
  signal: AbortSignal | undefined,
  name: string,
): Promise<void> {
  const action = `wait for "${name}"`;
  throwIfAborted(signal, action);
  if (step === undefined) return;
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    const onAbort = (): void => resolve();
    signal?.addEventListener("abort", onAbort, { once: true });
    stop = () => signal?.removeEventListener("abort", onAbort);
  });
  await Promise.race([step, aborted]);
  stop();
  throwIfAborted(signal, action);
}

// What a worker does when it starts: say that it lives, and answer the pages that connect.
import { type Endpoint, expose } from "comlink";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { keepErrors } from "../errors-over-the-wire.ts";
import { holdLife, whenGone, withLock } from "../../src/runtime/threads/locks.ts";
import { createHost } from "./host.ts";
import { ModelInWorker } from "./model-in-worker.ts";
import { Turns } from "./turns.ts";

/**
 * A worker of one page or program, which ends it.
 * @param onLeave What else is done when the program has left.
 */
export function serveOne(runtime: Runtime, endpoint?: Endpoint, onLeave = () => {}): void {
  keepErrors();
  const host = createHost({
    model: new ModelInWorker(runtime),
    turns: new Turns(),
    life: holdLife("worker").then((life) => life?.name ?? null),
    // It ends with its page.
    onPageGone: () => {},
    onLeave,
  });
  expose(host, endpoint);
}

/** @returns What to do with each page that connects; the worker ends when the last has left. */
export function serveMany(
  runtime: Runtime,
  { name, close }: { readonly name: string; readonly close: () => void },
): (endpoint: Endpoint) => void {
  keepErrors();
  const model = new ModelInWorker(runtime);
  const turns = new Turns();
  const life = holdLife("worker").then((own) => own?.name ?? null);
  let nPages = 0;
  return (endpoint) => {
    nPages++;
    const host = createHost({
      model,
      turns,
      life,
      onPageGone: (lock, callback) => void whenGone(lock, callback),
      onLeave: () => {
        nPages--;
        // Nobody may connect to a worker that is about to close.
        void withLock(name, async () => {
          if (nPages === 0) close();
        });
      },
    });
    expose(host, endpoint);
  };
}

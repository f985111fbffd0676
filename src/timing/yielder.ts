/** The longest that kvasir computes without letting timers, messages and abort signals through. */
const SLICE_MS = 24;

/**
 * Lets the host's event loop run now and then: an abort is a task of its own, and a page or server
 * must stay alive while a worker-less engine computes.
 */
export class Yielder {
  #last = performance.now();

  /** Waits for a macrotask if the last one is long ago. */
  async pause(): Promise<void> {
    if (performance.now() - this.#last < SLICE_MS) return;
    await nextTask();
    this.#last = performance.now();
  }
}

/** What platforms have to make a task. */
export interface TaskScope {
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly MessageChannel?: typeof MessageChannel;
  readonly setTimeout: (callback: () => void) => unknown;
}

/**
 * A function that resolves in a task of its own, after those that wait already. Browsers make a timer
 * wait 4 ms, and up to a second in a hidden tab; a message comes at once. `scheduler.yield` would go
 * ahead of messages that wait, and with them of an abort.
 */
export function taskMaker(scope: TaskScope): () => Promise<void> {
  const { setImmediate: immediate, MessageChannel: Channel } = scope;
  // Node and Deno: an open MessagePort would keep the program alive.
  if (immediate !== undefined) return () => new Promise((resolve) => void immediate(resolve));
  if (Channel === undefined) return () => new Promise((resolve) => void scope.setTimeout(resolve));
  let channel: MessageChannel | undefined;
  const waiting: (() => void)[] = [];
  const open = (): MessageChannel => {
    const opened = new Channel();
    opened.port1.onmessage = () => waiting.shift()?.();
    return opened;
  };
  return () => {
    const { port2 } = (channel ??= open());
    return new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
  };
}

const nextTask = taskMaker(globalThis);

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

/**
 * Resolves in a task of its own, after those that wait already. Browsers make a timer wait 4 ms, and
 * one a second in a hidden tab; a message comes at once. `scheduler.yield` would go ahead of messages
 * that wait, and with them of an abort.
 */
export const nextTask: () => Promise<void> = chooseTask();

function chooseTask(): () => Promise<void> {
  // Node and Deno: an open MessagePort would keep the program alive.
  const { setImmediate: immediate } = globalThis as {
    readonly setImmediate?: (callback: () => void) => unknown;
  };
  if (immediate !== undefined) return () => new Promise((resolve) => void immediate(resolve));
  if (typeof MessageChannel === "undefined") {
    return () => new Promise((resolve) => void setTimeout(resolve));
  }
  let ports: MessageChannel | undefined;
  const waiting: (() => void)[] = [];
  return () => {
    if (ports === undefined) {
      ports = new MessageChannel();
      ports.port1.onmessage = () => waiting.shift()?.();
    }
    const { port2 } = ports;
    return new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
  };
}

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
    await new Promise((resolve) => setTimeout(resolve));
    this.#last = performance.now();
  }
}

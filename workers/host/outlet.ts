// The worker's end of a call that streams: events go out as far as the page has given credit for them, so
// that a slow page makes the model wait in place of filling a queue.
import { errorFromWire, errorToWire } from "../errors-over-the-wire.ts";
import type { ToPage, ToWorker } from "../session-api.ts";
import type { Turns } from "./turns.ts";

export class Outlet {
  readonly #port: MessagePort;
  readonly #abort = new AbortController();
  #credit = 0;
  #isReturned = false;
  #wake: () => void = () => {};

  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<ToWorker>) => this.#take(data);
  }

  /** Fires with the page's own signal. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits until an event is wanted. @returns false when none is wanted any more. */
  async ready(): Promise<boolean> {
    // An abort must reach whoever makes the events, also when none is asked for.
    while (this.#credit <= 0 && !this.#isReturned && !this.signal.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return !this.#isReturned;
  }

  send(event: unknown): void {
    this.#credit--;
    this.#post({ kind: "event", event });
  }

  end(value: unknown): void {
    this.#post({ kind: "end", value });
  }

  fail(error: unknown): void {
    this.#post({ kind: "error", error: errorToWire(error) });
  }

  /** The page is gone. */
  cut(): void {
    this.#take({ kind: "return" });
    this.#abort.abort();
  }

  #post(message: ToPage): void {
    this.#port.postMessage(message);
  }

  #take(message: ToWorker): void {
    if (message.kind === "credit") this.#credit += message.n;
    else if (message.kind === "return") this.#isReturned = true;
    else this.#abort.abort(errorFromWire(message.reason));
    this.#wake();
  }
}

/** Sends what `events` yields, a turn at a time; then its end or its error. */
export async function pump(
  events: AsyncIterable<unknown>,
  outlet: Outlet,
  turns: Turns,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  try {
    while (await outlet.ready()) {
      const step = await turns.take(() => iterator.next());
      if (step.done === true) {
        outlet.end(step.value);
        return;
      }
      outlet.send(step.value);
    }
    await iterator.return?.();
    outlet.end(undefined);
  } catch (error) {
    outlet.fail(error);
  }
}

// The page's end of a call that streams: events arrive ahead of the reader, as many as there is credit for.
import { type Remote, transfer } from "comlink";
import { KvasirError } from "../../src/errors.ts";
import { errorFromWire, errorToWire } from "../errors-over-the-wire.ts";
import type { Host, ToPage, ToWorker } from "../session-api.ts";
import type { Connection } from "./connection.ts";

/** Events that the worker may be ahead of the reader; half of them are asked for at a time. */
const N_AHEAD = 16;

export interface ReceiveOptions {
  readonly signal: AbortSignal | undefined;
  /** For messages: "generate". */
  readonly action: string;
}

/**
 * What a call in the worker yields, then what it returns. Nothing is sent before the first `next`;
 * leaving early ends the call in the worker before `return` resolves.
 *
 * @param start Makes the call, with the port that it answers on.
 * @throws {KvasirError} What the worker threw; `aborted` with the signal's reason as cause.
 */
export async function* receive<Event, Result>(
  connection: Connection,
  start: (host: Remote<Host>, port: MessagePort) => Promise<void>,
  { signal, action }: ReceiveOptions,
): AsyncGenerator<Event, Result> {
  if (signal?.aborted) throw abortError(action, signal);
  const { port1, port2 } = new MessageChannel();
  const inbox = new Inbox(connection, port1);
  const onAbort = (): void => inbox.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  try {
    inbox.give(N_AHEAD);
    inbox.watch(connection.guard((host) => start(host, transfer(port2, [port2]))));
    for (let n = 1; ; n++) {
      const message = await inbox.next();
      if (signal?.aborted) throw abortError(action, signal);
      if (message.kind === "end") return message.value as Result;
      if (message.kind === "error") throw errorFromWire(message.error);
      yield message.event as Event;
      if (n % (N_AHEAD / 2) === 0) inbox.give(N_AHEAD / 2);
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await inbox.close();
  }
}

function abortError(action: string, signal: AbortSignal): KvasirError {
  return new KvasirError("aborted", `Cannot ${action}: aborted`, { cause: signal.reason });
}

class Inbox {
  readonly #connection: Connection;
  readonly #port: MessagePort;
  #messages: ToPage[] = [];
  #failure: Error | null = null;
  #isEnded = false;
  #isDropping = false;
  #wake: () => void = () => {};

  constructor(connection: Connection, port: MessagePort) {
    this.#connection = connection;
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<ToPage>) => this.#take(data);
    // In Node a port must not keep the program alive: whoever waits does.
    (port as { unref?: () => void }).unref?.();
  }

  /** The next message. @throws {KvasirError} When none can come any more. */
  async next(): Promise<ToPage> {
    const stop = this.#connection.onEnd((error) => this.#fail(error));
    try {
      for (;;) {
        if (this.#failure !== null) throw this.#failure;
        const message = this.#messages.shift();
        if (message !== undefined) return message;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      stop();
    }
  }

  /** Fails with the call that was to start the stream. */
  watch(call: Promise<void>): void {
    call.catch((error: Error) => this.#fail(error));
  }

  give(n: number): void {
    this.#post({ kind: "credit", n });
  }

  abort(reason: unknown): void {
    this.#post({ kind: "abort", reason: errorToWire(reason) });
    this.dropEvents();
  }

  /** Nobody reads events any more. */
  dropEvents(): void {
    this.#isDropping = true;
    this.#messages = this.#messages.filter(({ kind }) => kind !== "event");
  }

  /** Waits until the worker is done with the call. */
  async close(): Promise<void> {
    this.dropEvents();
    if (!this.#isEnded && this.#failure === null) {
      this.#post({ kind: "return" });
      await this.next().catch(() => {});
    }
    this.#port.close();
  }

  #post(message: ToWorker): void {
    this.#port.postMessage(message);
  }

  #take(message: ToPage): void {
    if (message.kind !== "event") this.#isEnded = true;
    else if (this.#isDropping) return;
    this.#messages.push(message);
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

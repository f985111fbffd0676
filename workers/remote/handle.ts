// An object in the worker, by its number: its methods by name, with the types of the object itself.
import type { Connection } from "./connection.ts";
import { receive } from "./receive.ts";

type Method = (...args: never) => unknown;

/** Names of the methods of `T`. */
type MethodOf<T> = {
  [Key in keyof T]-?: T[Key] extends Method ? Key : never;
}[keyof T] &
  string;

type ArgsOf<T, Key extends keyof T> = T[Key] extends (...args: infer Args) => unknown
  ? Args
  : never;
type ResultOf<T, Key extends keyof T> = T[Key] extends (...args: never) => infer Result
  ? Result
  : never;
type EventOf<Stream> = Stream extends AsyncIterable<infer Event> ? Event : never;

/** What a method that streams or can be aborted takes last. */
interface Options {
  readonly signal?: AbortSignal | undefined;
}

export class Handle<T> {
  readonly #connection: Connection;
  readonly #id: number;

  constructor(connection: Connection, id: number) {
    this.#connection = connection;
    this.#id = id;
  }

  /** Calls a method whose result is data. */
  call<Key extends MethodOf<T>>(
    method: Key,
    ...args: ArgsOf<T, Key>
  ): Promise<Awaited<ResultOf<T, Key>>> {
    return this.#connection.guard(
      (host) => host.call(this.#id, method, args) as Promise<Awaited<ResultOf<T, Key>>>,
    );
  }

  /** Calls a method whose result stays in the worker. */
  async open<Key extends MethodOf<T>>(
    method: Key,
    ...args: ArgsOf<T, Key>
  ): Promise<Handle<Awaited<ResultOf<T, Key>>>> {
    const id = await this.#connection.guard((host) => host.call(this.#id, method, args));
    return new Handle(this.#connection, id as number);
  }

  /** Calls a method that streams; `args` are those before the options. */
  stream<Key extends MethodOf<T>>(
    method: Key,
    args: readonly unknown[],
    options: Options = {},
  ): AsyncGenerator<EventOf<ResultOf<T, Key>>> {
    return this.#receive(method, args, options);
  }

  /** Calls a method whose options hold a signal, and perhaps `onProgress`; `args` come before them. */
  async run<Key extends MethodOf<T>, Event = never>(
    method: Key,
    args: readonly unknown[],
    {
      onProgress,
      ...options
    }: Options & { onProgress?: ((event: Event) => void) | undefined } = {},
  ): Promise<Awaited<ResultOf<T, Key>>> {
    const steps = this.#receive<Event, Awaited<ResultOf<T, Key>>>(method, args, options);
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return step.value;
      onProgress?.(step.value);
    }
  }

  /** Lets the worker forget an object that has no `dispose`. */
  release(): void {
    if (this.#connection.isEnded) return;
    void this.#connection.guard((host) => host.release(this.#id)).catch(() => {});
  }

  #receive<Event, Result>(
    method: string,
    args: readonly unknown[],
    { signal, ...options }: Options,
  ): AsyncGenerator<Event, Result> {
    return receive(
      this.#connection,
      (host, port) => host.run(this.#id, method, [...args, options], port),
      { signal, action: method },
    );
  }
}

// The worker's side of one connection: the objects that a page holds, by number, and the calls to them.
import { wrap } from "comlink";
import { KvasirError } from "../../src/errors.ts";
import type { ByteSource } from "../../src/gguf/byte-source.ts";
import type { ModelSource } from "../../src/runtime/runtime.ts";
import type { SessionOptions } from "../../src/types.ts";
import type {
  Host,
  ModelFacts,
  SourceReader,
  WireLoadOptions,
  WireSource,
} from "../session-api.ts";
import type { Loaded, ModelInWorker } from "./model-in-worker.ts";
import { Outlet, pump } from "./outlet.ts";
import { withOwnMethod } from "./own-methods.ts";
import type { Turns } from "./turns.ts";

export interface HostParts {
  readonly model: ModelInWorker;
  /** The same for all connections to a worker. */
  readonly turns: Turns;
  /** The lock that the worker holds while it lives; null where there are no locks. */
  readonly life: Promise<string | null>;
  /** Calls back when the page that holds this lock is gone. */
  onPageGone(lock: string, callback: () => void): void;
  /** This connection holds nothing any more. */
  onLeave(): void | Promise<void>;
}

type Methods = Readonly<Record<string, ((...args: readonly unknown[]) => unknown) | undefined>>;

export function createHost(parts: HostParts): Host {
  const host = new ObjectHost(parts);
  return {
    hello: (page) => host.hello(page),
    load: (source, options, port, reader) => void host.load(source, options, port, reader),
    call: (id, method, args) => host.call(id, method, args),
    run: (id, method, args, port) => void host.run(id, method, args, port),
    release: (id) => host.release(id),
    leave: () => host.leave(),
  };
}

class ObjectHost {
  readonly #parts: HostParts;
  readonly #objects = new Map<number, object>();
  readonly #outlets = new Set<Outlet>();
  #nObjects = 0;
  #hasLeft = false;

  constructor(parts: HostParts) {
    this.#parts = parts;
  }

  async hello(page: string | null): Promise<string | null> {
    if (page !== null) this.#parts.onPageGone(page, () => void this.leave());
    return this.#parts.life;
  }

  async load(
    source: WireSource,
    options: WireLoadOptions,
    port: MessagePort,
    reader: MessagePort | null,
  ): Promise<void> {
    await this.#serve(port, async (outlet) => {
      const loaded = await this.#parts.model.join(
        sourceOf(source, reader),
        options,
        outlet.signal,
        (progress) => outlet.send(progress),
      );
      if (this.#hasLeft) await this.#parts.model.leave();
      else outlet.end(this.#factsOf(loaded));
    });
  }

  async call(id: number, method: string, args: readonly unknown[]): Promise<unknown> {
    if (method === "dispose" && !this.#objects.has(id)) return undefined;
    const result = await this.#invoke(id, method, args);
    if (method === "dispose") this.release(id);
    // Not every runtime can send a Blob.
    if (result instanceof Blob) return result.arrayBuffer();
    return isHeld(result) ? this.#hold(result) : result;
  }

  async run(
    id: number,
    method: string,
    args: readonly unknown[],
    port: MessagePort,
  ): Promise<void> {
    await this.#serve(port, async (outlet) => {
      const options = {
        ...(args.at(-1) as object | undefined),
        signal: outlet.signal,
        onProgress: (event: unknown) => outlet.send(event),
      };
      const result = this.#invoke(id, method, [...args.slice(0, -1), options]);
      if (isStream(result)) await pump(result, outlet, this.#parts.turns);
      else {
        const value = await result;
        outlet.end(isHeld(value) ? this.#hold(value) : value);
      }
    });
  }

  release(id: number): void {
    this.#objects.delete(id);
  }

  async leave(): Promise<void> {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    for (const outlet of this.#outlets) outlet.cut();
    // Of what is left, the model disposes the sessions.
    try {
      for (const object of this.#objects.values()) {
        if (isDisposable(object)) await object.dispose();
      }
    } finally {
      await this.#parts.onLeave();
    }
  }

  async #serve(port: MessagePort, answer: (outlet: Outlet) => Promise<void>): Promise<void> {
    const outlet = new Outlet(port);
    this.#outlets.add(outlet);
    try {
      await answer(outlet);
    } catch (error) {
      outlet.fail(error);
    } finally {
      this.#outlets.delete(outlet);
    }
  }

  #invoke(id: number, method: string, args: readonly unknown[]): unknown {
    const object = this.#objects.get(id);
    if (object === undefined) {
      throw new KvasirError("disposed", `Cannot ${method}: the session or model was disposed`);
    }
    const call = (object as Methods)[method];
    if (call === undefined) throw new TypeError(`Cannot ${method}: there is no such method`);
    return call.apply(object, [...args]);
  }

  #hold(object: object): number {
    this.#objects.set(++this.#nObjects, object);
    return this.#nObjects;
  }

  #factsOf(loaded: Loaded): ModelFacts {
    const { model } = loaded;
    const { config, engine, loadMs, tokenizer, chatTemplate } = model;
    const data = Object.entries(tokenizer).filter(([, value]) => typeof value !== "function");
    return {
      id: this.#hold(this.#modelOf(loaded)),
      config,
      engine,
      loadMs,
      tokenizer: {
        ...(Object.fromEntries(data) as Omit<ModelFacts["tokenizer"], "id">),
        id: this.#hold(tokenizer),
      },
      chatTemplate: chatTemplate === null ? null : this.#hold(chatTemplate),
    };
  }

  /** This connection's part in a model that others may use, too. */
  #modelOf({ model, methods }: Loaded): object {
    const own = {
      session: (options: SessionOptions = {}) => model.session(withOwnMethod(options, methods)),
      restore: (snapshot: ArrayBuffer | Uint8Array) =>
        model.restore(snapshot, { methods: [...methods.values()] }),
      memory: () => model.memory(),
      describeEngine: () => model.engine,
      dispose: async () => {
        for (const object of this.#objects.values()) {
          if (object !== own && isDisposable(object)) await object.dispose();
        }
        this.#objects.clear();
        await this.#parts.model.leave();
      },
    };
    return own;
  }
}

interface Disposable {
  dispose(): unknown;
}

function isDisposable(object: object): object is Disposable {
  return typeof (object as Partial<Disposable>).dispose === "function";
}

/** Sessions and streaming decoders stay here; all else is data. */
function isHeld(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return isDisposable(value) || typeof (value as { push?: unknown }).push === "function";
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function sourceOf(source: WireSource, port: MessagePort | null): ModelSource {
  if (source.kind === "data") return source.data;
  if (port === null) throw new Error("Broken invariant: a source has its reader");
  const { name, size } = source;
  const reader = wrap<SourceReader>(port);
  const opened: ByteSource = {
    name,
    size,
    read: (offset, length) => reader.read(offset, length),
    close: () => reader.close(),
    finish: () => reader.finish(),
  };
  return opened;
}

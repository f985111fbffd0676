// A model in a worker, and its sessions: each method is one line that says how its result comes back.
import { KvasirError } from "../../src/errors.ts";
import type { ChatTemplate, TokenDecoder, Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import type {
  GenerateEvent,
  GenerateInput,
  GenerateOptions,
  ReadEvent,
  ReadOptions,
  RestoreOptions,
  Session,
  SessionOptions,
  SessionUsage,
} from "../../src/types.ts";
import type { Async, HeldModel, ModelFacts, WorkerModel, WorkerSession } from "../session-api.ts";
import type { Connection } from "./connection.ts";
import { Handle } from "./handle.ts";

export class RemoteModel implements WorkerModel {
  readonly config: WorkerModel["config"];
  readonly tokenizer: WorkerModel["tokenizer"];
  readonly chatTemplate: WorkerModel["chatTemplate"];
  readonly loadMs: number;
  readonly #model: Handle<HeldModel>;
  #engine: WorkerModel["engine"];
  readonly #close: () => Promise<void>;

  /** @param close Ends the connection. */
  constructor(connection: Connection, facts: ModelFacts, close: () => Promise<void>) {
    this.config = facts.config;
    this.#engine = facts.engine;
    this.loadMs = facts.loadMs;
    this.tokenizer = remoteTokenizer(connection, facts.tokenizer);
    this.chatTemplate = remoteTemplate(connection, facts.chatTemplate);
    this.#model = new Handle(connection, facts.id);
    this.#close = close;
  }

  /** As it was after the last answer. */
  get engine(): WorkerModel["engine"] {
    return this.#engine;
  }

  async session(options: SessionOptions = {}): Promise<WorkerSession> {
    refuseFunctions(options);
    return new RemoteSession(await this.#model.open("session", options), this.#look);
  }

  async restore(
    snapshot: Blob | ArrayBuffer | Uint8Array,
    options: RestoreOptions = {},
  ): Promise<WorkerSession> {
    if (options.methods !== undefined) throw notSent("restore a session", "methods");
    // Not every runtime can send a Blob.
    const bytes = snapshot instanceof Blob ? await snapshot.arrayBuffer() : snapshot;
    return new RemoteSession(await this.#model.open("restore", bytes), this.#look);
  }

  memory(): ReturnType<WorkerModel["memory"]> {
    return this.#model.call("memory");
  }

  dispose(): Promise<void> {
    return this.#close();
  }

  /** Which engine computed: of those that there are, the GPU's alone may go away. */
  readonly #look = async (): Promise<void> => {
    if (this.#engine.name !== "webgpu") return;
    this.#engine = await this.#model.call("describeEngine").catch(() => this.#engine);
  };
}

export class RemoteSession implements WorkerSession {
  readonly #session: Handle<Session>;
  readonly #afterAnswer: () => Promise<void>;

  constructor(session: Handle<Session>, afterAnswer: () => Promise<void>) {
    this.#session = session;
    this.#afterAnswer = afterAnswer;
  }

  async *generate(
    input: GenerateInput,
    options: GenerateOptions = {},
  ): AsyncGenerator<GenerateEvent> {
    yield* this.#session.stream("generate", [input], options);
    await this.#afterAnswer();
  }

  read(input: GenerateInput, options: ReadOptions = {}): Promise<SessionUsage> {
    return this.#session.run<"read", ReadEvent>("read", [input], options);
  }

  async fork(): Promise<WorkerSession> {
    return new RemoteSession(await this.#session.open("fork"), this.#afterAnswer);
  }

  async save(): Promise<Blob> {
    // The host sends its bytes.
    const bytes: Blob | ArrayBuffer = await this.#session.call("save");
    return new Blob([bytes], { type: "application/octet-stream" });
  }

  usage(): ReturnType<WorkerSession["usage"]> {
    return this.#session.call("usage");
  }

  reset(): Promise<void> {
    return this.#session.call("reset");
  }

  dispose(): Promise<void> {
    return this.#session.call("dispose");
  }
}

function remoteTokenizer(
  connection: Connection,
  { id, ...data }: ModelFacts["tokenizer"],
): Async<Tokenizer> {
  const tokenizer = new Handle<Tokenizer>(connection, id);
  return {
    ...data,
    encode: (text, options = {}) => tokenizer.call("encode", text, options),
    decode: (tokens, options = {}) => tokenizer.call("decode", Uint32Array.from(tokens), options),
    piece: (token) => tokenizer.call("piece", token),
    isSpecial: (token) => tokenizer.call("isSpecial", token),
    decodeStream: async (options = {}) => {
      const decoder = remoteDecoder(await tokenizer.open("decodeStream", options));
      return decoder;
    },
  };
}

/** Nobody disposes a decoder: the worker forgets it when the page does. */
const decoders = new FinalizationRegistry<Handle<TokenDecoder>>((handle) => handle.release());

function remoteDecoder(handle: Handle<TokenDecoder>): Async<TokenDecoder> {
  const decoder = {
    push: (token: number) => handle.call("push", token),
    end: () => handle.call("end"),
  };
  decoders.register(decoder, handle);
  return decoder;
}

function remoteTemplate(connection: Connection, id: number | null): Async<ChatTemplate> | null {
  if (id === null) return null;
  const template = new Handle<ChatTemplate>(connection, id);
  return { render: (messages, options = {}) => template.call("render", messages, options) };
}

/** @throws {KvasirError} `unsupported-option`: functions cannot be sent. */
function refuseFunctions({ method }: SessionOptions): void {
  if (typeof method !== "object" || typeof method["create"] !== "function") return;
  throw notSent("make a session", String(method["id"]));
}

function notSent(action: string, got: string): KvasirError {
  return new KvasirError(
    "unsupported-option",
    `Cannot ${action}: a method of your own cannot be sent to a worker; load the model with ` +
      `methods: [URL of its module] and name it, got "${got}"`,
  );
}

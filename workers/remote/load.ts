// Loads a model into a worker of its own, or joins the tab that has it already.
import { expose, type Remote, transfer } from "comlink";
import { KvasirError } from "../../src/errors.ts";
import type { ByteSource } from "../../src/gguf/byte-source.ts";
import type { ModelSource } from "../../src/runtime/runtime.ts";
import type { LoadProgress } from "../../src/types.ts";
import type {
  Host,
  ModelFacts,
  SourceReader,
  WireLoadOptions,
  WireSource,
  WorkerLoadOptions,
  WorkerModel,
} from "../session-api.ts";
import { Connection, type SpawnedWorker } from "./connection.ts";
import { RemoteModel } from "./model.ts";
import { receive } from "./receive.ts";

/** What the platform gives. */
export interface WorkerPlatform {
  /** A worker of this page or program alone. @throws {KvasirError} `unavailable`. */
  spawn(): SpawnedWorker;
  /** Connects to the worker of that name which all pages share, and starts it; absent without any. */
  connect?(name: string): SpawnedWorker;
  /** The place as a worker can open it: relative URLs become whole. */
  readonly resolve: (place: string) => string;
  /** The same for a module. */
  readonly resolveModule: (place: string) => string;
  /** Holds `name` for as long as the model is there; null where another tab holds it. */
  reserve?(name: string): Promise<(() => void) | null>;
  /** Runs `act` while no other page or worker opens or ends the shared worker `name`. */
  readonly alone?: <T>(name: string, act: () => Promise<T>) => Promise<T>;
}

/** Both ends of a port on which a source of the caller's own is read. */
interface Reader {
  readonly near: MessagePort;
  readonly far: MessagePort;
}

/** As `loadInWorker` of client.ts, on `platform`. */
export async function loadOnWorker(
  platform: WorkerPlatform,
  source: ModelSource,
  options: WorkerLoadOptions,
): Promise<WorkerModel> {
  const { share = false, methods = [], signal, onProgress, ...rest } = options;
  const { wire, reader } = wireSource(source, platform);
  const places = methods.map((place) => platform.resolveModule(String(place)));
  const wireOptions: WireLoadOptions = { ...rest, methods: places };
  const name = share ? shareName(wire, wireOptions) : null;
  const { connection, release } = await connect(platform, name);
  const close = async (): Promise<void> => {
    await connection.close();
    reader?.near.close();
    release();
  };
  try {
    const facts = await load(connection, wire, wireOptions, reader, signal, onProgress);
    return new RemoteModel(connection, facts, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function load(
  connection: Connection,
  wire: WireSource,
  options: WireLoadOptions,
  reader: Reader | null,
  signal: AbortSignal | undefined,
  onProgress: ((progress: LoadProgress) => void) | undefined,
): Promise<ModelFacts> {
  const start = (host: Remote<Host>, port: MessagePort): Promise<void> =>
    reader === null
      ? host.load(wire, options, port, null)
      : host.load(wire, options, port, transfer(reader.far, [reader.far]));
  const steps = receive<LoadProgress, ModelFacts>(connection, start, {
    signal,
    action: "load the model",
  });
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
    onProgress?.(step.value);
  }
}

/** The connection, and what to do after its end. */
async function connect(
  platform: WorkerPlatform,
  name: string | null,
): Promise<{ readonly connection: Connection; readonly release: () => void }> {
  const open = platform.connect?.bind(platform);
  if (name !== null && open !== undefined) {
    const start = (): Promise<Connection> => Connection.open(open(name));
    const connection = await (platform.alone?.(name, start) ?? start());
    return { connection, release: () => {} };
  }
  const release = name === null ? () => {} : await platform.reserve?.(name);
  if (release === null) {
    throw new KvasirError(
      "busy",
      "Cannot load the model: another tab holds it, and this browser shares no workers; " +
        "load it without share to have it twice",
    );
  }
  return { connection: await Connection.open(platform.spawn()), release: release ?? (() => {}) };
}

/** Pages that name the same model with the same options share it. */
function shareName(wire: WireSource, options: WireLoadOptions): string {
  if (wire.kind !== "data" || typeof wire.data !== "string") {
    throw new KvasirError(
      "unsupported-option",
      "Cannot share the model: only a model from a URL can be told to be the same in other tabs",
    );
  }
  const entries = Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1));
  return `kvasir ${wire.data} ${JSON.stringify(entries)}`;
}

function wireSource(
  source: ModelSource,
  platform: WorkerPlatform,
): { readonly wire: WireSource; readonly reader: Reader | null } {
  if (typeof source === "string" || source instanceof URL) {
    return { wire: { kind: "data", data: platform.resolve(String(source)) }, reader: null };
  }
  if (source instanceof Blob || source instanceof Uint8Array || source instanceof ArrayBuffer) {
    return { wire: { kind: "data", data: source }, reader: null };
  }
  const { name, size } = source;
  return { wire: { kind: "source", name, size }, reader: readerOf(source) };
}

/** Answers for the source on `near`, which closes with the connection. */
function readerOf(source: ByteSource): Reader {
  const { port1: near, port2: far } = new MessageChannel();
  const answers: SourceReader = {
    read: (offset, length) => source.read(offset, length),
    close: async () => source.close?.(),
    finish: async () => source.finish?.(),
  };
  expose(answers, near);
  // In Node a port must not keep the program alive: whoever waits does.
  (near as { unref?: () => void }).unref?.();
  return { near, far };
}

// Bytes -> GGUF table -> weights on the engine -> tokenizer: what a Model is made of.
import { createEngine } from "./engine/create-engine.ts";
import type { Engine } from "./engine/engine.ts";
import { KvasirError, throwIfAborted } from "./errors.ts";
import type { ByteSource } from "./gguf/byte-source.ts";
import type { GgufFile } from "./gguf/parse.ts";
import { parseSharded } from "./gguf/shards.ts";
import type { ModelConfig } from "./model/config.ts";
import { readModelConfig } from "./model/read-config.ts";
import { Transformer } from "./model/transformer.ts";
import type { ModelSource, Runtime } from "./runtime/runtime.ts";
import { LocalSession, type SessionOwner } from "./session.ts";
import { createReport } from "./report-progress.ts";
import type { ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type {
  LoadOptions,
  LoadProgress,
  Model,
  RestoreOptions,
  Session,
  SessionOptions,
} from "./types.ts";
import { loadWeights, readRopeFactors } from "./weights/load-weights.ts";

/**
 * Loads a model from a GGUF file.
 *
 * Weights are streamed from the source to the engine in small slices; the file is never held whole.
 * A first shard (`-00001-of-0000N.gguf`) brings the others with it.
 *
 * @param source Path, URL, File or Blob, bytes, or a ByteSource of your own.
 * @param options.engine Default "auto": the fastest that works here.
 * @param options.activations Default "q8" (int8 per block of 32, fast; on the CPU); "f32" multiplies dequantised
 *   weights in f32 and is what parity with f32 oracles runs on.
 * @returns The model; `dispose` it to free the weights.
 * @throws {KvasirError} `not-found`, `network`, `checksum`, `storage-full`, `bad-gguf`,
 *   `unsupported-model`, `out-of-memory` with both numbers before anything is loaded, `unavailable`, `aborted`.
 */
export async function load(
  source: ModelSource,
  options: LoadOptions & { readonly runtime: Runtime },
): Promise<Model> {
  const started = performance.now();
  const { runtime, signal, onProgress, sha256 } = options;
  throwIfAborted(signal, "load the model");
  const report = onProgress === undefined ? undefined : createReport(onProgress);
  const openOptions = {
    ...(signal === undefined ? {} : { signal }),
    ...(report === undefined ? {} : { onProgress: report }),
    ...(options.store === undefined ? {} : { store: options.store }),
    ...(options.revalidate === undefined ? {} : { revalidate: options.revalidate }),
  };
  // Asked for now, awaited when it is needed: an error is told then.
  tokenizerCode().catch(() => {});
  const opened = await runtime.openByteSource(source, {
    ...openOptions,
    ...(sha256 === undefined ? {} : { sha256 }),
  });
  let sources: readonly ByteSource[] = [opened];
  try {
    const gguf = await parseSharded(opened, (name) => runtime.openByteSource(name, openOptions), {
      name: typeof source === "string" || source instanceof URL ? String(source) : opened.name,
      ...(signal === undefined ? {} : { signal }),
    });
    sources = gguf.sources;
    const model = await loadParsed(gguf, options, report, started);
    try {
      await Promise.all(sources.map((open) => open.finish?.()));
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model;
  } finally {
    await Promise.all(sources.map((open) => open.close?.()));
  }
}

async function loadParsed(
  gguf: GgufFile,
  options: LoadOptions & { readonly runtime: Runtime },
  report: ((progress: Omit<LoadProgress, "rate">) => void) | undefined,
  started: number,
): Promise<Model> {
  const { runtime, engine: name = "auto", signal } = options;
  const plain = readModelConfig(gguf);
  const config = withRopeFactors(plain, await readRopeFactors(gguf, plain.headDim));
  const { tokenizer, chatTemplate } = await readText(gguf);
  const { activations, threads = defaultThreads(gguf, runtime) } = options;
  const created = await createEngine({ engine: name, activations, runtime, threads });
  if (created === null) {
    throw new KvasirError("unavailable", "Cannot load the model: no engine works on this platform");
  }
  const { engine } = created;
  try {
    const weights = await loadWeights(engine, gguf, config, {
      signal,
      onProgress: (progress) => report?.({ phase: "load", ...progress }),
    });
    const kernels = created.hostKernels;
    const transformer = new Transformer(engine, config, weights);
    const parts = { transformer, tokenizer, chatTemplate, kernels, modelHash: weights.hash };
    return new LocalModel(engine, parts, performance.now() - started);
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/** The code for text comes while the file's header does; that of templates only where there is one. */
const tokenizerCode = () => import("./tokenizer/from-gguf.ts");

async function readText({ metadata }: GgufFile): Promise<{
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
}> {
  const tokenizer = (await tokenizerCode()).createTokenizer(metadata);
  if (!metadata.has("tokenizer.chat_template")) return { tokenizer, chatTemplate: null };
  const { createChatTemplate } = await import("./tokenizer/chat-template.ts");
  return { tokenizer, chatTemplate: createChatTemplate(metadata, tokenizer) };
}

/** Beyond it, one token's work is too little to divide further. */
const MAX_DEFAULT_THREADS = 8;
/** Weights that one thread reads faster than several agree who reads what, bytes. */
const SMALL_MODEL_BYTES = 16 << 20;

/** The physical cores; one thread for models that are too small to gain by more. */
function defaultThreads(gguf: GgufFile, runtime: Runtime): number {
  let bytes = 0;
  for (const { byteLength } of gguf.tensors.values()) bytes += byteLength;
  if (bytes < SMALL_MODEL_BYTES) return 1;
  return Math.max(1, Math.min(MAX_DEFAULT_THREADS, runtime.hardwareThreads));
}

function withRopeFactors(config: ModelConfig, factors: Float32Array | undefined): ModelConfig {
  if (factors === undefined) return config;
  const scaled = new Map(config.layers.map(({ rope }) => [rope, { ...rope, factors }]));
  const layers = config.layers.map((layer) => ({
    ...layer,
    rope: scaled.get(layer.rope) ?? layer.rope,
  }));
  return { ...config, layers };
}

type SessionParts = ConstructorParameters<typeof LocalSession>[0];

/** A loaded model and the sessions on it. */
export class LocalModel implements Model {
  readonly config: ModelConfig;
  readonly tokenizer: SessionParts["tokenizer"];
  readonly chatTemplate: SessionParts["chatTemplate"];
  readonly engine: Model["engine"];
  readonly loadMs: number;
  /** For the parity checks, which look at every logit. */
  readonly parts: SessionParts;
  readonly #engine: Engine;
  readonly #sessions = new Set<Session>();
  readonly #owner: SessionOwner = {
    add: (session) => void this.#sessions.add(session),
    remove: (session) => this.#forget(session),
  };
  #isDisposed = false;

  constructor(engine: Engine, parts: SessionParts, loadMs: number) {
    this.#engine = engine;
    this.parts = parts;
    this.config = parts.transformer.config;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    const { name, activations, nThreads } = engine;
    this.engine = { name, activations, nThreads };
    this.loadMs = loadMs;
  }

  session(options: SessionOptions = {}): Session {
    this.#check("make a session");
    return new LocalSession(this.parts, options, this.#owner);
  }

  async restore(
    snapshot: Blob | ArrayBuffer | Uint8Array,
    options: RestoreOptions = {},
  ): Promise<Session> {
    this.#check("restore a session");
    const { openSnapshot, resume } = await import("./snapshot/restore.ts");
    const saved = await openSnapshot(snapshot);
    this.#check("restore a session");
    return new LocalSession(this.parts, {}, this.#owner, resume(this.parts, saved, options));
  }

  memory(): ReturnType<Engine["memory"]> {
    return this.#engine.memory();
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const sessions = [...this.#sessions];
    if (sessions.length === 0) this.#engine.dispose();
    for (const session of sessions) session.dispose();
  }

  #check(action: string): void {
    if (!this.#isDisposed) return;
    throw new KvasirError("disposed", `Cannot ${action}: the model was disposed`);
  }

  /** The engine goes with the last session: one in the middle of an answer ends a step later. */
  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (this.#isDisposed && this.#sessions.size === 0) this.#engine.dispose();
  }
}

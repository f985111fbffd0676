// Bytes -> GGUF table -> weights on the engine -> tokenizer: what a Model is made of.
import { createEngine, type CreatedEngine } from "./engine/create-engine.ts";
import { assert, KvasirError, throwIfAborted } from "./errors.ts";
import type { ByteSource } from "./gguf/byte-source.ts";
import type { GgufFile } from "./gguf/parse.ts";
import { isShardName, parseSharded } from "./gguf/shards.ts";
import type { ModelConfig } from "./model/config.ts";
import { readModelConfig } from "./model/read-config.ts";
import { Transformer } from "./model/transformer.ts";
import type { ModelSource, Runtime } from "./runtime/runtime.ts";
import type { LocalModel } from "./session/local-model.ts";
import { createReport } from "./session/report-progress.ts";
import type { ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
import type { LoadOptions, LoadProgress, Model } from "./types.ts";
import { loadWeights, readRopeFactors } from "./weights/load-weights.ts";

/**
 * Loads a model from a GGUF file.
 *
 * Weights are streamed from the source to the engine in small slices; the file is never held whole.
 * A first shard (`-00001-of-0000N.gguf`) brings the others with it.
 *
 * @param source Path, URL, File or Blob, bytes, or a ByteSource of your own.
 * @param options.engine Default "auto": the fastest that works here.
 * @param options.activations Default "q8" on the CPU (int8 per block of 32, fast); "f32", the default on WebGPU, multiplies dequantised
 *   weights in f32 and is what parity with f32 oracles runs on.
 * @returns The model; `dispose` it to free the weights.
 * @throws {KvasirError} `not-found`, `network`, `checksum`, `storage-full`, `bad-gguf`,
 *   `unsupported-model`, `out-of-memory` with both numbers before anything is loaded, `unavailable`, `aborted`.
 */
export async function load(source: ModelSource, options: Options): Promise<Model> {
  const started = performance.now();
  const { signal, onProgress } = options;
  throwIfAborted(signal, "load the model");
  const report = onProgress === undefined ? undefined : createReport(onProgress);
  const { onProgress: _, signal: __, ...again } = options;
  const reopen: Reopen = (use) =>
    withGguf(source, again, undefined, { use, drop: ({ engine }) => engine.dispose() });
  let engine: Promise<CreatedEngine | null> | undefined;
  const begin: BeginEngine = (bytes) => {
    engine ??= beginEngine(bytes, options);
    engine.catch(() => {}); // told when it is needed
    return engine;
  };
  try {
    return await withGguf(source, options, report, {
      begin: (bytes) => void begin(bytes),
      use: (gguf) => loadParsed(gguf, begin, options, report, started, reopen),
      drop: (model) => model.dispose(),
    });
  } catch (error) {
    engine?.then((created) => created?.engine.dispose()).catch(() => {});
    throw error;
  }
}

type Options = LoadOptions & { readonly runtime: Runtime };
type Report = (progress: Omit<LoadProgress, "rate">) => void;
type UseGguf<T> = (gguf: GgufFile) => Promise<T>;
type Reopen = (use: UseGguf<Transformer>) => Promise<Transformer>;

interface GgufUse<T> {
  /** Called before the header is read, with the bytes of the file, where it is the only one. */
  readonly begin?: (bytes: number) => void;
  readonly use: UseGguf<T>;
  /** What `use` made, if that was no use. */
  readonly drop: (made: T) => void;
}

/** Opens the file and its shards for as long as `use` takes. */
async function withGguf<T>(
  source: ModelSource,
  options: Options,
  report: Report | undefined,
  { begin, use, drop }: GgufUse<T>,
): Promise<T> {
  const { runtime, signal, sha256 } = options;
  const openOptions = {
    ...(signal === undefined ? {} : { signal }),
    ...(report === undefined ? {} : { onProgress: report }),
    ...(options.store === undefined ? {} : { store: options.store }),
    ...(options.revalidate === undefined ? {} : { revalidate: options.revalidate }),
  };
  // Asked for now, awaited when it is needed: an error is told then.
  for (const code of [tokenizerCode, modelCode]) code().catch(() => {});
  const opened = await runtime.openByteSource(source, {
    ...openOptions,
    ...(sha256 === undefined ? {} : { sha256 }),
  });
  let sources: readonly ByteSource[] = [opened];
  const name = typeof source === "string" || source instanceof URL ? String(source) : opened.name;
  try {
    if (!isShardName(name)) begin?.(opened.size);
    const gguf = await parseSharded(opened, (shard) => runtime.openByteSource(shard, openOptions), {
      name,
      ...(signal === undefined ? {} : { signal }),
    });
    sources = gguf.sources;
    const made = await use(gguf);
    try {
      await Promise.all(sources.map((open) => open.finish?.()));
    } catch (error) {
      drop(made);
      throw error;
    }
    return made;
  } finally {
    await Promise.all(sources.map((open) => open.close?.()));
  }
}

type BeginEngine = (bytes: number) => Promise<CreatedEngine | null>;

/** Compiles the kernels and starts the threads, or opens the GPU: beside the reading of the header. */
function beginEngine(bytes: number, options: Options): Promise<CreatedEngine | null> {
  const { runtime, engine = "auto", activations, tuning = "auto" } = options;
  const { threads = defaultThreads(bytes, runtime) } = options;
  return createEngine({ engine, activations, runtime, threads, tuning, mayStartLater: true });
}

async function loadParsed(
  gguf: GgufFile,
  begin: BeginEngine,
  options: Options,
  report: Report | undefined,
  started: number,
  reopen: Reopen,
): Promise<LocalModel> {
  const plain = readModelConfig(gguf);
  const beginning = begin(bytesOf(gguf));
  const config = withRopeFactors(plain, await readRopeFactors(gguf, plain.headDim));
  const { tokenizer, chatTemplate } = await readText(gguf);
  const created = await beginning;
  if (created === null) {
    throw new KvasirError("unavailable", "Cannot load the model: no engine works on this platform");
  }
  const { engine, hostKernels: kernels } = created;
  const weights = await loadWeights(engine, gguf, config, {
    signal: options.signal,
    onProgress: (progress) => report?.({ phase: "load", ...progress }),
  });
  await engine.ready?.(); // weights came meanwhile
  const transformer = new Transformer(engine, config, weights);
  const parts = { transformer, tokenizer, chatTemplate, kernels, modelHash: weights.hash };
  const renew = (): Promise<Transformer> => reopen((file) => reload(file, config, options));
  const isLasting = engine.name !== "webgpu";
  const { LocalModel } = await modelCode();
  return new LocalModel(parts, performance.now() - started, isLasting ? undefined : renew);
}

/** What comes while the file does: the code for text and for sessions; that for templates if need be. */
const modelCode = () => import("./session/local-model.ts");
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

/**
 * The model once more, its GPU having gone away: on the engine that `load` would take now, or on the
 * CPU. In f32 as on the GPU, unless "q8" was asked for, so that the same tokens follow.
 */
async function reload(gguf: GgufFile, config: ModelConfig, options: Options): Promise<Transformer> {
  const { runtime, engine: name = "auto", activations = "f32", tuning = "auto" } = options;
  const { threads = defaultThreads(bytesOf(gguf), runtime) } = options;
  const wanted = { activations, runtime, threads, tuning } as const;
  const again = await createEngine({ ...wanted, engine: name }).catch(() => null);
  const created = again ?? (await createEngine({ ...wanted, engine: "wasm" }));
  assert(created !== null, "an engine asked for by name is there, or an error says why not");
  try {
    return new Transformer(created.engine, config, await loadWeights(created.engine, gguf, config));
  } catch (error) {
    created.engine.dispose();
    throw error;
  }
}

/** Beyond it, one token's work is too little to divide further. */
const MAX_DEFAULT_THREADS = 8;
/** Files whose weights one thread reads faster than several agree who reads what, bytes. */
const SMALL_MODEL_BYTES = 16 << 20;

function bytesOf({ sources }: GgufFile): number {
  return sources.reduce((sum, { size }) => sum + size, 0);
}

/** The physical cores; one thread for models that are too small to gain by more. */
function defaultThreads(bytes: number, runtime: Runtime): number {
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

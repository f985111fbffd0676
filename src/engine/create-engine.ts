// Picks an engine: what was asked for, or the fastest that the platform has.
import type { SelectKernels } from "../compression/kernels.ts";
import { type ErrorCode, KvasirError } from "../errors.ts";
import type { KernelBuild, Runtime } from "../runtime/runtime.ts";
import type { SampleKernels } from "../sampler/kernels.ts";
import type { Activations, Engine, EngineName } from "./engine.ts";
import {
  beginThreadedWasmEngine,
  createThreadedWasmEngine,
  createWasmEngine,
} from "./wasm/create.ts";
import { usableBuilds } from "./wasm/features.ts";
import { createHostKernels, type RopeKernels } from "./wasm/select-kernels.ts";

export interface CreateEngineOptions {
  readonly engine: EngineName | "auto";
  /** Default: what suits the engine, "f32" on `reference` and `webgpu`, "q8" on `wasm`. */
  readonly activations?: Activations | undefined;
  readonly runtime: Runtime;
  /** Default 1. */
  readonly threads?: number | undefined;
  /** The caller awaits `Engine.ready` before it shows the engine to anyone. Default false. */
  readonly mayStartLater?: boolean;
  /** As `LoadOptions.tuning`. Default "off". */
  readonly tuning?: "auto" | "off" | undefined;
}

export interface CreatedEngine {
  readonly engine: Engine;
  /** Scoring, selection and sampling, the same arithmetic beside every engine. */
  readonly hostKernels: SelectKernels & SampleKernels;
  readonly build: KernelBuild;
  /** Why engines that come before it were passed over. */
  readonly refusals: readonly { readonly engine: EngineName; readonly reason: string }[];
}

/**
 * @returns null when no engine works here; with one asked for by name, an error says why.
 * @throws {KvasirError} `unavailable` or `unsupported-option` when the engine that was named does
 *   not work here, `unavailable` without WebAssembly SIMD, `version-mismatch` where the threads' script
 *   is of another build.
 */
export async function createEngine(options: CreateEngineOptions): Promise<CreatedEngine | null> {
  const { build, module } = await loadKernels(options.runtime);
  const hostKernels = createHostKernels(module);
  const kernels = { build, module, hostKernels };
  if (options.engine !== "auto") {
    const engine = await create(options.engine, kernels, options);
    return { engine, hostKernels, build, refusals: [] };
  }
  const refusals: { engine: EngineName; reason: string }[] = [];
  for (const name of ["webgpu", "wasm", "reference"] as const) {
    try {
      const engine = await create(name, kernels, options);
      return { engine, hostKernels, build, refusals };
    } catch (error) {
      if (!(error instanceof KvasirError) || NOT_REFUSALS.has(error.code)) throw error;
      refusals.push({ engine: name, reason: error.message });
    }
  }
  return null;
}

/** What no other engine makes good. */
const NOT_REFUSALS: ReadonlySet<ErrorCode> = new Set(["bad-option", "version-mismatch"]);

/** The most threads that are of use: beyond it, waiting for each other costs more than it gives. */
const MAX_THREADS = 64;

/** The engine with the threads asked for; null for one thread, or where there can be no more. */
async function createThreaded(
  { threads = 1, runtime, activations = "q8", mayStartLater }: CreateEngineOptions,
  build: KernelBuild,
): Promise<Engine | null> {
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new KvasirError(
      "bad-option",
      `Cannot create an engine: threads must be an integer from 1 to ${MAX_THREADS}, got ${threads}`,
    );
  }
  if (threads === 1) return null;
  const first = runtime.spawnKernelWorker?.() ?? null;
  if (first === null) return null;
  const workers = [first];
  while (workers.length < threads - 1) {
    const worker = runtime.spawnKernelWorker?.() ?? null;
    if (worker === null) break;
    workers.push(worker);
  }
  const name: KernelBuild = build === "relaxed" ? "relaxed-threads" : "simd128-threads";
  const module = await runtime.loadKernels(name).catch(() => null);
  let engine: Engine | null = null;
  try {
    if (module !== null) {
      const create = mayStartLater === true ? beginThreadedWasmEngine : createThreadedWasmEngine;
      engine = await create({ module, activations, workers });
    }
    return engine;
  } finally {
    if (engine === null) for (const worker of workers) worker.terminate();
  }
}

/** The fastest build that runs here and is there. */
async function loadKernels(
  runtime: Runtime,
): Promise<{ readonly build: KernelBuild; readonly module: WebAssembly.Module }> {
  let failure: unknown;
  for (const build of usableBuilds()) {
    try {
      return { build, module: await runtime.loadKernels(build) };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

interface LoadedKernels {
  readonly build: KernelBuild;
  readonly module: WebAssembly.Module;
  readonly hostKernels: RopeKernels;
}

/** Engines that not everyone asks for come when they are. */
async function create(
  name: EngineName,
  { build, module, hostKernels }: LoadedKernels,
  options: CreateEngineOptions,
): Promise<Engine> {
  const { activations } = options;
  if (name === "wasm") {
    const threaded = await createThreaded(options, build);
    return threaded ?? createWasmEngine({ module, activations: activations ?? "q8" });
  }
  if (name === "webgpu") return createGpuEngine(options, hostKernels);
  if (activations === "q8") {
    throw new KvasirError(
      "unsupported-option",
      `Cannot create engine "${name}": it computes in f32 only; ask for activations "f32"`,
    );
  }
  return (await import("./reference/engine.ts")).createReferenceEngine();
}

async function createGpuEngine(
  { engine, runtime, activations, tuning, mayStartLater }: CreateEngineOptions,
  kernels: RopeKernels,
): Promise<Engine> {
  const gpu = ((await runtime.gpu?.()) ?? null) as GPU | null;
  const { createWebGpuEngine } = await import("./webgpu/create.ts");
  const result = await createWebGpuEngine({
    gpu,
    ropeFrequencies: (frequencies) => kernels.ropeFrequencies(frequencies),
    allowsSoftware: engine === "webgpu",
    ...{ activations, tuning, notes: runtime.notes, mayStartLater },
  });
  if ("engine" in result) return result.engine;
  throw new KvasirError("unavailable", `Cannot create engine "webgpu": ${result.refusal}`);
}

// Picks an engine: what was asked for, or the fastest that the platform has.
import type { SelectKernels } from "../compression/kernels.ts";
import { KvasirError } from "../errors.ts";
import type { KernelBuild, Runtime } from "../runtime/runtime.ts";
import type { SampleKernels } from "../sampler/kernels.ts";
import type { Activations, Engine, EngineName } from "./engine.ts";
import { createReferenceEngine } from "./reference/engine.ts";
import { createThreadedWasmEngine, createWasmEngine } from "./wasm/create.ts";
import { usableBuilds } from "./wasm/features.ts";
import { createHostKernels } from "./wasm/select-kernels.ts";

export interface CreateEngineOptions {
  readonly engine: EngineName | "auto";
  readonly activations: Activations;
  readonly runtime: Runtime;
  /** Default 1. */
  readonly threads?: number | undefined;
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
 *   not work here, `unavailable` without WebAssembly SIMD.
 */
export async function createEngine(options: CreateEngineOptions): Promise<CreatedEngine | null> {
  const { build, module } = await loadKernels(options.runtime);
  const hostKernels = createHostKernels(module);
  if (options.engine === "wasm" || options.engine === "auto") {
    const threaded = await createThreaded(options, build);
    if (threaded !== null) return { engine: threaded, hostKernels, build, refusals: [] };
  }
  if (options.engine !== "auto") {
    const engine = create(options.engine, module, options.activations);
    return { engine, hostKernels, build, refusals: [] };
  }
  const refusals: { engine: EngineName; reason: string }[] = [];
  for (const name of ["wasm", "reference"] as const) {
    try {
      const engine = create(name, module, options.activations);
      return { engine, hostKernels, build, refusals };
    } catch (error) {
      if (!(error instanceof KvasirError)) throw error;
      refusals.push({ engine: name, reason: error.message });
    }
  }
  return null;
}

/** The most threads that are of use: beyond it, waiting for each other costs more than it gives. */
const MAX_THREADS = 64;

/** The engine with the threads asked for; null for one thread, or where there can be no more. */
async function createThreaded(
  { threads = 1, runtime, activations }: CreateEngineOptions,
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
  const engine =
    module === null ? null : await createThreadedWasmEngine({ module, activations, workers });
  if (engine === null) for (const worker of workers) worker.terminate();
  return engine;
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

function create(name: EngineName, module: WebAssembly.Module, activations: Activations): Engine {
  switch (name) {
    case "wasm":
      return createWasmEngine({ module, activations });
    case "reference":
      if (activations === "q8") {
        throw new KvasirError(
          "unsupported-option",
          'Cannot create engine "reference": it computes in f32 only; ask for activations "f32"',
        );
      }
      return createReferenceEngine();
    case "webgpu":
      throw new KvasirError(
        "unavailable",
        'Cannot create engine "webgpu": this build has the engines wasm and reference',
      );
  }
}

// Makes WASM engines: with a memory of their own, or one shared with a pool of workers.
import type { KernelWorker } from "../../runtime/runtime.ts";
import type { Activations, Engine } from "../engine.ts";
import { WasmEngine } from "./engine.ts";
import { instantiateKernels, startThread } from "./instantiate.ts";
import type { Kernels } from "./kernels.ts";

/** Of a shared memory: what the kernels' own data and stacks take, and all that can be addressed. */
const FIRST_PAGES = 64;
const MAX_PAGES = 65_536;

export interface WasmEngineOptions {
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  readonly activations: Activations;
  /** What the engine may make of the memory, bytes. Default: 4 GiB, all that wasm32 can address. */
  readonly maxBytes?: number;
}

/** An engine with a memory of its own and one thread. */
export function createWasmEngine(options: WasmEngineOptions): Engine {
  const kernels = instantiateKernels(options.module) as unknown as Kernels;
  return new WasmEngine(kernels, options.activations, options.maxBytes);
}

export interface ThreadedWasmEngineOptions extends WasmEngineOptions {
  /** Of a `-threads` build. */
  readonly module: WebAssembly.Module;
  readonly workers: readonly KernelWorker[];
}

/**
 * An engine whose memory is shared with `workers`: as many threads as workers, and one. The results
 * are the same bits as with one. It computes on one thread until `ready`, and goes on so where the
 * workers do not start.
 *
 * @returns null when the memory cannot be shared.
 */
export function beginThreadedWasmEngine(options: ThreadedWasmEngineOptions): WasmEngine | null {
  const { module, activations, maxBytes, workers } = options;
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MAX_PAGES, shared: true });
  } catch {
    return null; // no shared memory, or not as much address space
  }
  const exports = instantiateKernels(module, memory);
  startThread(exports, true);
  const kernels = { ...exports, memory } as unknown as Kernels;
  const engine = new WasmEngine(kernels, activations, maxBytes);
  engine.beginPool(module, workers);
  return engine;
}

/**
 * As `beginThreadedWasmEngine`, once the threads are there.
 *
 * @returns null also when the workers do not start.
 * @throws {KvasirError} `version-mismatch` when the workers' script is of another build.
 */
export async function createThreadedWasmEngine(
  options: ThreadedWasmEngineOptions,
): Promise<Engine | null> {
  const engine = beginThreadedWasmEngine(options);
  await engine?.ready();
  return engine !== null && engine.nThreads > 1 ? engine : null;
}

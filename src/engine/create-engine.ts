// Picks an engine: what was asked for, or the fastest that the platform has.
import { KvasirError } from "../errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Activations, Engine, EngineName } from "./engine.ts";
import { createReferenceEngine } from "./reference/engine.ts";
import { createWasmEngine } from "./wasm/engine.ts";

export interface CreateEngineOptions {
  readonly engine: EngineName | "auto";
  readonly activations: Activations;
  readonly runtime: Runtime;
}

export interface CreatedEngine {
  readonly engine: Engine;
  /** Why engines that come before it were passed over. */
  readonly refusals: readonly { readonly engine: EngineName; readonly reason: string }[];
}

/**
 * @returns null when no engine works here; with one asked for by name, an error says why.
 * @throws {KvasirError} `unavailable` or `unsupported-option` when the engine that was named does
 *   not work here.
 */
export async function createEngine(options: CreateEngineOptions): Promise<CreatedEngine | null> {
  if (options.engine !== "auto") {
    return { engine: await create(options.engine, options), refusals: [] };
  }
  const refusals: { engine: EngineName; reason: string }[] = [];
  for (const name of ["wasm", "reference"] as const) {
    try {
      return { engine: await create(name, options), refusals };
    } catch (error) {
      if (!(error instanceof KvasirError)) throw error;
      refusals.push({ engine: name, reason: error.message });
    }
  }
  return null;
}

async function create(name: EngineName, options: CreateEngineOptions): Promise<Engine> {
  const { activations, runtime } = options;
  switch (name) {
    case "wasm":
      return createWasmEngine({ module: await runtime.loadKernels("simd128"), activations });
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

import relaxed from "../../dist/kernels/relaxed/kvasir_kernels_bg.wasm";
import simd128 from "../../dist/kernels/simd128/kvasir_kernels_bg.wasm";
import { load as loadOn } from "../load.ts";
import type { ModelSource } from "../runtime/runtime.ts";
import { workerdRuntime } from "../runtime/workerd.ts";
import type { LoadOptions, Model } from "../types.ts";

export * from "../index.ts";

export const runtime = workerdRuntime({ relaxed, simd128 });

/** `load` of index.ts on this platform. */
export function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  return loadOn(source, { runtime, ...options });
}

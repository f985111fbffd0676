import { modelStore as storeOn } from "../index.ts";
import { load as loadOn } from "../load.ts";
import { nodeRuntime as runtime } from "../runtime/node.ts";
import type { ModelSource, ModelStore } from "../runtime/runtime.ts";
import type { LoadOptions, Model } from "../types.ts";

export * from "../index.ts";
export { runtime };

/** `load` of index.ts on this platform. */
export function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  return loadOn(source, { runtime, ...options });
}

/** `modelStore` of index.ts on this platform. */
export function modelStore(options: { readonly name?: string } = {}): Promise<ModelStore> {
  return storeOn({ runtime, ...options });
}

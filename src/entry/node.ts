import { load as loadOn } from "../load.ts";
import { nodeRuntime as runtime } from "../runtime/node.ts";
import type { ModelSource } from "../runtime/runtime.ts";
import type { LoadOptions, Model } from "../types.ts";

export * from "../index.ts";
export { runtime };

/** `load` of index.ts on this platform. */
export function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  return loadOn(source, { runtime, ...options });
}

// The public surface. src/entry/<platform>.ts replace `load` by one that knows its platform.
import { KvasirError } from "./errors.ts";
import { load as loadOn } from "./load.ts";
import type { ModelSource, ModelStore, Runtime } from "./runtime/runtime.ts";
import type { LoadOptions, Model } from "./types.ts";

export type { Activations, CodecName, EngineName } from "./engine/engine.ts";
export { type ErrorCode, KvasirError } from "./errors.ts";
export type { ByteSource } from "./gguf/byte-source.ts";
export type { LayerConfig, ModelConfig } from "./model/config.ts";
export type {
  ModelSource,
  ModelStore,
  OpenOptions,
  Runtime,
  StoredModel,
} from "./runtime/runtime.ts";
export type { ChatMessage, ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
export type * from "./types.ts";
export { compose, type Composition } from "./compression/compose.ts";
export {
  defineMethod,
  type MethodDefinition,
  type MethodParts,
} from "./compression/define-method.ts";
export type { SelectKernels } from "./compression/kernels.ts";
export type * from "./compression/method.ts";
export { flag, integer, oneOf, real } from "./compression/parameters.ts";
export type { Segment, SegmentKind, Splitter } from "./compression/segments.ts";
export { tokenTopK } from "./compression/selectors/token-top-k.ts";
export { methodNames } from "./compression/method-names.ts";

/**
 * Loads a model from a GGUF file; see src/load.ts for all that it promises.
 *
 * @param source Path, URL, File or Blob, bytes, or a ByteSource of your own. A first shard
 *   (`-00001-of-0000N.gguf`) brings the others with it.
 * @param options.runtime Only needed where the package has no entry for the platform.
 * @returns The model; `dispose` it to free the weights.
 * @throws {KvasirError} `not-found`, `network`, `checksum`, `storage-full`, `bad-gguf`,
 *   `unsupported-model`, `out-of-memory`, `unavailable`, `aborted`.
 */
export async function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  const { runtime } = options;
  if (runtime !== undefined) return loadOn(source, { ...options, runtime });
  throw new KvasirError("unavailable", "Cannot load a model: options.runtime names no platform");
}

/**
 * Opens the models kept on this machine: the origin's private file system in browsers, the user's
 * cache folder (or $KVASIR_CACHE) in Node and Deno. `load` fills it by itself.
 *
 * @param options.name Of a store apart from the others, as in `LoadOptions.store`. Default "models".
 * @param options.runtime Only needed where the package has no entry for the platform.
 * @throws {KvasirError} `unavailable` where nothing can be kept, `bad-option` for the name.
 */
export async function modelStore(
  options: { readonly name?: string; readonly runtime?: Runtime } = {},
): Promise<ModelStore> {
  const { runtime, name } = options;
  const store = await runtime?.modelStore?.(name);
  if (store !== undefined) return store;
  throw new KvasirError("unavailable", "Cannot open the model store: this platform keeps nothing");
}

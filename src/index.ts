// The public surface, without a platform: src/entry/<platform>.ts bind theirs to `load`.
export type { Activations, CodecName, EngineName } from "./engine/engine.ts";
export { type ErrorCode, KvasirError } from "./errors.ts";
export type { ByteSource } from "./gguf/byte-source.ts";
export { load } from "./load.ts";
export type { LayerConfig, ModelConfig } from "./model/config.ts";
export type { ModelSource, Runtime } from "./runtime/runtime.ts";
export type { ChatMessage, ChatTemplate, Tokenizer } from "./tokenizer/tokenizer.ts";
export type * from "./types.ts";
export { defineMethod } from "./compression/define-method.ts";
export { methodNames } from "./compression/registry.ts";

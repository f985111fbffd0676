// A small GGUF file for tests of the configuration: a llama of 12 layers, changed as asked.
import { parseGguf } from "../../../src/gguf/parse.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import type { ModelConfig } from "../../../src/model/config.ts";
import { readModelConfig } from "../../../src/model/read-config.ts";
import {
  scalar,
  type WriterTensor,
  type WriterValue,
  writeGguf,
} from "../../support/gguf-writer.ts";

export interface Change {
  readonly architecture?: string;
  /** The prefix is added unless they begin with "general." or "tokenizer."; null drops. */
  readonly keys?: Readonly<Record<string, WriterValue | null>>;
  readonly tensors?: readonly WriterTensor[];
}

export const f32 = (value: number) => scalar("f32", value);
export const embedding: WriterTensor = { name: "token_embd.weight", type: "F32", dims: [64, 10] };

export async function read({
  architecture = "llama",
  keys = {},
  tensors = [],
}: Change): Promise<ModelConfig> {
  const all: Record<string, WriterValue | null> = {
    "general.architecture": architecture,
    block_count: 12,
    embedding_length: 64,
    feed_forward_length: 96,
    "attention.head_count": 4,
    context_length: 512,
    "attention.layer_norm_rms_epsilon": f32(1e-5),
    ...keys,
  };
  const metadata: Record<string, WriterValue> = {};
  for (const [key, value] of Object.entries(all)) {
    const isGlobal = key.startsWith("general.") || key.startsWith("tokenizer.");
    if (value !== null) metadata[isGlobal ? key : `${architecture}.${key}`] = value;
  }
  const hasEmbedding = tensors.some(({ name }) => name === "token_embd.weight");
  const bytes = writeGguf({ metadata, tensors: hasEmbedding ? tensors : [embedding, ...tensors] });
  return readModelConfig(await parseGguf(new BufferSource(bytes, "m.gguf")));
}

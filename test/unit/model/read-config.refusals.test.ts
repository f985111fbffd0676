import { describe, expect, it } from "vitest";
import { array, scalar } from "../../support/gguf-writer.ts";
import { type Change, embedding, f32, read } from "./config-file.ts";

describe("readModelConfig refuses", () => {
  it.each<[string, Change, string]>([
    [
      "no architecture",
      { keys: { "general.architecture": null } },
      'key "general.architecture" is missing',
    ],
    ["no layers", { keys: { block_count: null } }, 'key "llama.block_count" is missing'],
    [
      "a thousand layers and more",
      { keys: { block_count: 5000 } },
      'key "llama.block_count" must be an integer from 1 to 1024, got 5000',
    ],
    [
      "no hidden size",
      { keys: { embedding_length: null } },
      'key "llama.embedding_length" is missing',
    ],
    [
      "a hidden size of 0",
      { keys: { embedding_length: 0 } },
      'key "llama.embedding_length" must be an integer from 1',
    ],
    [
      "no heads",
      { keys: { "attention.head_count": null } },
      'key "llama.attention.head_count" is missing',
    ],
    [
      "no FFN size",
      { keys: { feed_forward_length: null } },
      'key "llama.feed_forward_length" is missing',
    ],
    [
      "no context length",
      { keys: { context_length: null } },
      'key "llama.context_length" is missing',
    ],
    [
      "no norm epsilon",
      { keys: { "attention.layer_norm_rms_epsilon": null } },
      'key "llama.attention.layer_norm_rms_epsilon" is missing',
    ],
    [
      "an epsilon of 0",
      { keys: { "attention.layer_norm_rms_epsilon": f32(0) } },
      "must lie between 0 and 1, got 0",
    ],
    [
      "a size that is text",
      { keys: { block_count: "12" } },
      'key "llama.block_count" must be a number, got string',
    ],
    [
      "a size that is no integer",
      { keys: { block_count: 1.5 } },
      "must be an integer from 1 to 1024, got 1.5",
    ],
    [
      "kv heads that do not divide heads",
      { keys: { "attention.head_count_kv": 3 } },
      "must divide the 4 heads, got 3",
    ],
    [
      "heads that do not divide the hidden size",
      { keys: { "attention.head_count": 3 } },
      'key "llama.attention.key_length" is missing, and 3 heads do not divide 64',
    ],
    [
      "an odd head dim",
      { keys: { "attention.key_length": 15 } },
      'key "llama.attention.key_length" must be even',
    ],
    [
      "a list of another length",
      { keys: { "attention.head_count_kv": [1, 1] } },
      "must have one entry for each of 12 layers, got 2",
    ],
    [
      "a rope base of 0",
      { keys: { "rope.freq_base": f32(0) } },
      'key "llama.rope.freq_base" must be above 1, got 0',
    ],
    [
      "a negative rope factor",
      { keys: { "rope.scaling.factor": f32(-1) } },
      'key "llama.rope.scaling.factor" must be above 0, got -1',
    ],
    [
      "an embedding of another width",
      { tensors: [{ ...embedding, dims: [32, 10] }] },
      'tensor "token_embd.weight" must have dims [64, vocabSize], got [32, 10]',
    ],
    [
      "a vocabulary of another size",
      { keys: { "tokenizer.ggml.tokens": ["a", "b"] } },
      'tensor "token_embd.weight" has 10 rows, the vocabulary 2 tokens',
    ],
    [
      "a sliding pattern of another type",
      {
        architecture: "gemma3",
        keys: {
          block_count: 1,
          "attention.sliding_window": 8,
          "attention.sliding_window_pattern": array("string", [scalar("string", "yes")]),
        },
      },
      'key "gemma3.attention.sliding_window_pattern" must hold booleans',
    ],
  ])("%s as bad-gguf", async (_, change, message) => {
    await expect(read(change)).rejects.toMatchObject({
      code: "bad-gguf",
      message: expect.stringContaining(message) as string,
    });
  });

  it.each<[string, Change, string]>([
    [
      "an unknown architecture",
      { architecture: "mamba" },
      'Cannot run model "m.gguf": architecture "mamba" is not among those supported: llama, qwen2, qwen3, gemma3',
    ],
    ["experts", { keys: { expert_count: 8 } }, 'key "llama.expert_count" is 8'],
    [
      "soft caps of attention",
      { keys: { attn_logit_softcapping: f32(50) } },
      'key "llama.attn_logit_softcapping" is 50',
    ],
    [
      "soft caps of logits",
      { architecture: "gemma3", keys: { final_logit_softcapping: f32(30) } },
      'key "gemma3.final_logit_softcapping" is 30',
    ],
    [
      "yarn",
      { keys: { "rope.scaling.type": "yarn" } },
      'key "llama.rope.scaling.type" is "yarn", supported are none and linear',
    ],
    ["longrope", { keys: { "rope.scaling.type": "longrope" } }, '"longrope"'],
    [
      "values of another size than keys",
      { keys: { "attention.value_length": 32 } },
      'key "llama.attention.value_length" must equal the head dim 16, got 32',
    ],
    [
      "rope on part of a head",
      { keys: { "rope.dimension_count": 8 } },
      'key "llama.rope.dimension_count" must equal the head dim 16, got 8',
    ],
    [
      "kv heads that differ between layers",
      { keys: { block_count: 2, "attention.head_count_kv": [2, 4] } },
      "differs between layers",
    ],
    [
      "attention in both directions",
      { keys: { "attention.causal": false } },
      "only causal models run",
    ],
    [
      "biases it does not compute",
      { tensors: [{ name: "blk.0.attn_output.bias", type: "F32", dims: [64] }] },
      'tensor "blk.0.attn_output.bias"',
    ],
  ])("%s as unsupported-model", async (_, change, message) => {
    await expect(read(change)).rejects.toMatchObject({
      code: "unsupported-model",
      message: expect.stringContaining(message) as string,
    });
  });
});

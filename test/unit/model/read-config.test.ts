import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseGguf } from "../../../src/gguf/parse.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import { readModelConfig } from "../../../src/model/read-config.ts";
import { goldenPath } from "../../support/golden.ts";
import { type Change, f32, read } from "./config-file.ts";

describe("readModelConfig", () => {
  it("reads a llama with defaults", async () => {
    expect(await read({})).toEqual({
      architecture: "llama",
      name: "m.gguf",
      nLayers: 12,
      hiddenSize: 64,
      ffnSize: 96,
      nHeads: 4,
      nKvHeads: 4,
      headDim: 16,
      vocabSize: 10,
      contextLength: 512,
      normEps: Math.fround(1e-5),
      activation: "silu",
      ropeStyle: "interleaved",
      attentionScale: 0.25,
      embeddingScale: 1,
      hasBias: false,
      hasQkNorm: false,
      hasPostNorm: false,
      isTied: true,
      layers: new Array(12).fill({ window: 0, rope: { base: 10_000, headDim: 16 } }),
    });
  });

  it("goes by tensors for biases and a separate output", async () => {
    const config = await read({
      tensors: [
        { name: "output.weight", type: "F32", dims: [64, 10] },
        { name: "blk.0.attn_q.bias", type: "F32", dims: [64] },
      ],
    });
    expect(config).toMatchObject({ isTied: false, hasBias: true });
  });

  it("tells the architectures apart", async () => {
    expect(await read({ architecture: "qwen2" })).toMatchObject({
      ropeStyle: "half",
      hasBias: true,
      hasQkNorm: false,
      hasPostNorm: false,
      activation: "silu",
    });
    expect(await read({ architecture: "qwen3" })).toMatchObject({
      ropeStyle: "half",
      hasBias: false,
      hasQkNorm: true,
      hasPostNorm: false,
      activation: "silu",
    });
    expect(await read({ architecture: "gemma3" })).toMatchObject({
      ropeStyle: "half",
      hasBias: false,
      hasQkNorm: true,
      hasPostNorm: true,
      activation: "gelu-tanh",
    });
  });

  it("takes the head dim from key_length, the kv heads from head_count_kv", async () => {
    const config = await read({
      architecture: "qwen3",
      keys: {
        "attention.key_length": 96,
        "attention.value_length": 96,
        "attention.head_count_kv": 2,
      },
    });
    expect(config).toMatchObject({ headDim: 96, nKvHeads: 2 });
    expect(config.attentionScale).toBe(Math.fround(1 / Math.fround(Math.sqrt(96))));
  });

  it("takes sizes given for each layer when they agree", async () => {
    const config = await read({
      keys: {
        block_count: 3,
        "attention.head_count_kv": [2, 2, 2],
        feed_forward_length: [96, 96, 96],
      },
    });
    expect(config).toMatchObject({ nKvHeads: 2, ffnSize: 96 });
  });

  it("scales all frequencies of linear rope scaling", async () => {
    const keys = {
      "rope.scaling.type": "linear",
      "rope.scaling.factor": f32(4),
      "rope.freq_base": f32(5e5),
    };
    const { layers } = await read({ keys });
    expect(layers[3]).toEqual({ window: 0, rope: { base: 500_000, headDim: 16, scale: 4 } });
  });

  it("takes a factor without a type as linear, type none as no scaling, as llama.cpp", async () => {
    const factor = { "rope.scaling.factor": f32(4) };
    expect((await read({ keys: factor })).layers[0]?.rope.scale).toBe(4);
    const none = await read({ keys: { ...factor, "rope.scaling.type": "none" } });
    expect(none.layers[0]?.rope.scale).toBeUndefined();
  });

  it("ignores the sliding window of a llama file, as llama.cpp does", async () => {
    const { layers } = await read({ keys: { "attention.sliding_window": 4096 } });
    expect(layers.every(({ window }) => window === 0)).toBe(true);
  });
});

describe("readModelConfig of gemma3", () => {
  const gemma = (keys: Change["keys"]) =>
    read({ architecture: "gemma3", keys: { "attention.sliding_window": 16, ...keys } });

  it("slides in all but every sixth layer, with its own rope base and no scaling", async () => {
    const { layers } = await gemma({
      "rope.scaling.factor": f32(8),
      "rope.scaling.type": "linear",
    });
    layers.forEach((layer, i) => {
      expect(layer).toEqual(
        i % 6 === 5
          ? { window: 0, rope: { base: 1_000_000, headDim: 16, scale: 8 } }
          : { window: 16, rope: { base: 10_000, headDim: 16 } },
      );
    });
  });

  it("takes the pattern from the file: a period, or a list", async () => {
    const period = await gemma({ "attention.sliding_window_pattern": 3 });
    expect(period.layers.map(({ window }) => window).slice(0, 6)).toEqual([16, 16, 0, 16, 16, 0]);
    const list = await gemma({
      block_count: 3,
      "attention.sliding_window_pattern": [false, true, true],
    });
    expect(list.layers.map(({ window }) => window)).toEqual([0, 16, 16]);
  });

  it("does not slide without a window", async () => {
    const { layers } = await gemma({ "attention.sliding_window": null });
    expect(layers.every(({ window, rope }) => window === 0 && rope.base === 1_000_000)).toBe(true);
  });

  it("multiplies the embedding by sqrt(hiddenSize) in f32", async () => {
    const tensors = [{ name: "token_embd.weight", type: "F32", dims: [640, 2] }] as const;
    const { embeddingScale } = await read({
      architecture: "gemma3",
      keys: { embedding_length: 640 },
      tensors,
    });
    expect(embeddingScale).toBe(Math.fround(Math.sqrt(640)));
  });

  it("scales attention by the head dim, but by hiddenSize / nHeads with 62 layers", async () => {
    const size = {
      embedding_length: 5376,
      "attention.head_count": 32,
      "attention.key_length": 128,
      "attention.value_length": 128,
    };
    const tensors = [{ name: "token_embd.weight", type: "Q8_0", dims: [5376, 1] }] as const;
    const scaleOf = async (nLayers: number) =>
      (await read({ architecture: "gemma3", keys: { ...size, block_count: nLayers }, tensors }))
        .attentionScale;
    expect(await scaleOf(62)).toBe(Math.fround(1 / Math.fround(Math.sqrt(168))));
    expect(await scaleOf(48)).toBe(Math.fround(1 / Math.fround(Math.sqrt(128))));
  });
});

describe.each(["llama", "qwen2", "qwen3", "gemma3"])("golden toys/toy-%s.gguf", (name) => {
  const path = goldenPath(`toys/toy-${name}.gguf`) ?? "";
  it.skipIf(path === "")("has the sizes it was made with", async () => {
    const { spec } = JSON.parse(readFileSync(path.replace(/gguf$/, "json"), "utf8")) as {
      spec: Record<
        "hidden" | "ff" | "layers" | "heads" | "kv" | "head_dim" | "vocab" | "theta" | "eps",
        number
      > & { tied: boolean; window?: number };
    };
    const config = readModelConfig(await parseGguf(new BufferSource(readFileSync(path))));
    expect(config).toMatchObject({
      architecture: name,
      hiddenSize: spec.hidden,
      ffnSize: spec.ff,
      nLayers: spec.layers,
      nHeads: spec.heads,
      nKvHeads: spec.kv,
      headDim: spec.head_dim,
      vocabSize: spec.vocab,
      normEps: Math.fround(spec.eps),
      isTied: spec.tied,
    });
    expect(config.layers.at(-1)).toEqual({
      window: 0,
      rope: { base: spec.theta, headDim: spec.head_dim },
    });
    expect(config.layers[0]?.window).toBe(spec.window ?? 0);
  });
});

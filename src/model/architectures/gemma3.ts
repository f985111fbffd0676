import { type Architecture, inverseSqrt } from "./architecture.ts";

/** No metadata key tells the 27B model from the others; llama.cpp knows it by this number too. */
const N_LAYERS_27B = 62;

/** Gemma 3, text. Norm weights are stored with their + 1. */
export const gemma3: Architecture = {
  name: "gemma3",
  ropeStyle: "half",
  ropeBase: 1_000_000,
  activation: "gelu-tanh",
  hasBias: false,
  hasQkNorm: true,
  hasPostNorm: true,
  embeddingScale: ({ hiddenSize }) => Math.fround(Math.sqrt(hiddenSize)),
  attentionScale: ({ nLayers, hiddenSize, nHeads, headDim }) =>
    inverseSqrt(nLayers === N_LAYERS_27B ? Math.floor(hiddenSize / nHeads) : headDim),
  sliding: { pattern: 6, ropeBase: 10_000 },
};

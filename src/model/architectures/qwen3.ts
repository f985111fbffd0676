import { type Architecture, inverseSqrt } from "./architecture.ts";

/** Qwen 3, dense. */
export const qwen3: Architecture = {
  name: "qwen3",
  ropeStyle: "half",
  ropeBase: 10_000,
  activation: "silu",
  hasBias: false,
  hasQkNorm: true,
  hasPostNorm: false,
  embeddingScale: () => 1,
  attentionScale: ({ headDim }) => inverseSqrt(headDim),
};

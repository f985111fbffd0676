import { type Architecture, inverseSqrt } from "./architecture.ts";

/** Qwen 2 and 2.5. */
export const qwen2: Architecture = {
  name: "qwen2",
  ropeStyle: "half",
  ropeBase: 10_000,
  activation: "silu",
  hasBias: true,
  hasQkNorm: false,
  hasPostNorm: false,
  embeddingScale: () => 1,
  attentionScale: ({ headDim }) => inverseSqrt(headDim),
};

import { type Architecture, inverseSqrt } from "./architecture.ts";

/**
 * Llama 1 to 3, SmolLM, Mistral and what else is stored as "llama".
 *
 * Mistral files may name a sliding window; llama.cpp does not read it for this architecture, and
 * neither is it read here.
 */
export const llama: Architecture = {
  name: "llama",
  ropeStyle: "interleaved", // the converter permutes the rows of q and k for it
  ropeBase: 10_000,
  activation: "silu",
  hasBias: false,
  hasQkNorm: false,
  hasPostNorm: false,
  embeddingScale: () => 1,
  attentionScale: ({ headDim }) => inverseSqrt(headDim),
};

import type { Activation, RopeFrequencies } from "../engine/engine.ts";

/** What a model computes, read once from GGUF metadata. Names as in the glossary. */
export interface ModelConfig {
  /** GGUF's general.architecture. */
  readonly architecture: string;
  readonly name: string;
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  /** Trained maximum, tokens. */
  readonly contextLength: number;
  readonly normEps: number;
  readonly activation: Activation;
  readonly ropeStyle: "interleaved" | "half";
  /** Factor on q.k. */
  readonly attentionScale: number;
  /** Factor on the embedding (gemma: sqrt(hiddenSize)). */
  readonly embeddingScale: number;
  readonly hasBias: boolean;
  readonly hasQkNorm: boolean;
  readonly hasPostNorm: boolean;
  /** Output matrix is the embedding. */
  readonly isTied: boolean;
  readonly layers: readonly LayerConfig[];
}

export interface LayerConfig {
  /** Sliding window, tokens; 0 for full attention. */
  readonly window: number;
  readonly rope: RopeFrequencies;
}

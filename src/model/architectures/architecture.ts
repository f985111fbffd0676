import type { Activation } from "../../engine/engine.ts";

/** What sets an architecture apart. One forward pass serves all; a record says how it differs. */
export interface Architecture {
  /** GGUF's general.architecture. */
  readonly name: string;
  readonly ropeStyle: "interleaved" | "half";
  /** Base where the file names none. */
  readonly ropeBase: number;
  readonly activation: Activation;
  readonly hasBias: boolean;
  readonly hasQkNorm: boolean;
  readonly hasPostNorm: boolean;
  /** Factor on the embedding; f32. */
  embeddingScale(shape: AttentionShape): number;
  /** Factor on q.k; f32. */
  attentionScale(shape: AttentionShape): number;
  /** For architectures with sliding windows; others ignore a window that the file names. */
  readonly sliding?: {
    /** Every n-th layer sees everything, counted so that layer n - 1 is the first. */
    readonly pattern: number;
    /** Rope base of the sliding layers; their frequencies are never scaled. */
    readonly ropeBase: number;
  };
}

export interface AttentionShape {
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly nHeads: number;
  readonly headDim: number;
}

/** 1 / sqrt(size) as computed in f32. */
export function inverseSqrt(size: number): number {
  return Math.fround(1 / Math.fround(Math.sqrt(size)));
}

// How much a model's step and its prefill are: what limits of a GPU are held against.
import type { CodecName } from "../../../src/engine/engine.ts";
import type { ModelConfig } from "../../../src/model/config.ts";
import type { GpuLimits } from "../../probes/gpu-limits.ts";

const NUMBER_BYTES: Readonly<Record<CodecName, number>> = { f32: 4, f16: 2, q8: 1 };

/** Bytes of the rows that one step reads, over a full cache of `nRows` rows per kv head. */
export function rowBytes(
  { layers, nKvHeads, headDim }: ModelConfig,
  codec: CodecName,
  nRows: number,
): number {
  const keyAndValue = 2 * nKvHeads * headDim * NUMBER_BYTES[codec];
  return layers.reduce((sum, { window }) => sum + keyAndValue * seen(nRows, window), 0);
}

/**
 * Floating-point operations of a prompt of `nTokens`, a product and its addition being two: all
 * matrices of the layers, the products of attention that are not masked, one row of logits.
 */
export function prefillFlops(config: ModelConfig, nTokens: number): number {
  const { layers, hiddenSize, ffnSize, nHeads, nKvHeads, headDim, vocabSize } = config;
  const nWeights =
    hiddenSize * headDim * (nHeads + 2 * nKvHeads) +
    nHeads * headDim * hiddenSize +
    3 * hiddenSize * ffnSize;
  const attention = layers.reduce((sum, { window }) => sum + pairs(nTokens, window), 0);
  return (
    2 * nTokens * nWeights * layers.length +
    4 * nHeads * headDim * attention +
    2 * vocabSize * hiddenSize
  );
}

/** Queries and the keys that they see. */
function pairs(nTokens: number, window: number): number {
  const inWindow = seen(nTokens, window);
  return (inWindow * (inWindow + 1)) / 2 + (nTokens - inWindow) * inWindow;
}

const seen = (nRows: number, window: number): number =>
  window === 0 ? nRows : Math.min(nRows, window);

/** The least milliseconds of a step: it reads its bytes, and its dispatches wait for each other. */
export function leastStepMs(
  { copyBytesPerSecond, dispatchMs }: GpuLimits,
  readBytes: number,
  nDispatches: number,
): number {
  return Math.max((1000 * readBytes) / copyBytesPerSecond, nDispatches * dispatchMs);
}

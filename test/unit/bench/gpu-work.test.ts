import { describe, expect, it } from "vitest";
import { leastStepMs, prefillFlops, rowBytes } from "../../../bench/cases/gpu/work.ts";
import type { ModelConfig } from "../../../src/model/config.ts";

const layer = (window: number): ModelConfig["layers"][number] => ({
  window,
  rope: { base: 10_000, headDim: 4 },
});

const config = {
  hiddenSize: 8,
  ffnSize: 12,
  nHeads: 2,
  nKvHeads: 1,
  headDim: 4,
  vocabSize: 20,
  layers: [layer(0), layer(3)],
} as unknown as ModelConfig;

/** Counted one product at a time. */
function countedFlops(nTokens: number): number {
  const matrices = [
    [8, 8], // q
    [4, 8], // k
    [4, 8], // v
    [8, 8], // output
    [12, 8], // gate
    [12, 8], // up
    [8, 12], // down
  ] as const;
  let flops = 2 * 20 * 8; // the last token's logits
  for (const window of [0, 3]) {
    for (let query = 0; query < nTokens; query++) {
      for (const [nRows, nCols] of matrices) flops += 2 * nRows * nCols;
      for (let key = 0; key <= query; key++) {
        if (window > 0 && query - key >= window) continue;
        for (let head = 0; head < 2; head++) flops += 2 * (2 * 4); // q.k, then its share of v
      }
    }
  }
  return flops;
}

describe("the work of a prompt and of a step", () => {
  it.each([1, 2, 3, 4, 9])("%i tokens: as counted one by one", (nTokens) => {
    expect(prefillFlops(config, nTokens)).toBe(countedFlops(nTokens));
  });

  it("a step reads keys and values of the rows that it sees", () => {
    // 1 kv head x 4 channels x 2 (key and value) x 2 bytes: 16 bytes a row and layer.
    expect(rowBytes(config, "f16", 2)).toBe(16 * (2 + 2));
    expect(rowBytes(config, "f16", 10)).toBe(16 * (10 + 3));
    expect(rowBytes(config, "f32", 10)).toBe(32 * (10 + 3));
  });

  it("the slower of bytes and dispatches sets the limit", () => {
    const limits = { adapter: "", copyBytesPerSecond: 1e9, dispatchMs: 0.01, readBackMs: 1 };
    const all = { ...limits, matMulFlops: 1e12 };
    expect(leastStepMs(all, 5e6, 100)).toBeCloseTo(5);
    expect(leastStepMs(all, 5e6, 700)).toBeCloseTo(7);
  });
});

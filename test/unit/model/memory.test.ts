// What compression is for: 4,000 tokens at keep 0.1 never hold more than 0.15 of the full cache, by
// the cache's own account and by what WebAssembly took from the platform.
import { beforeAll, describe, expect, test } from "vitest";
import type { CacheUsage, SessionOptions } from "../../../src/types.ts";
import { answer } from "../../support/sessions.ts";
import { syntheticLlama } from "../../support/toy-file.ts";
import { openLocal, WASM_Q8 } from "../../support/toys.ts";

const N_TOKENS = 4000;
/**
 * Keys and values of all layers: 32 x 4,000 x 128 bytes, far more than weights and activations. The
 * layer that is being read is held whole, 1/32 of it: with few layers no method could stay below.
 */
const SHAPE = {
  nLayers: 32,
  hiddenSize: 32,
  ffnSize: 32,
  nHeads: 1,
  nKvHeads: 1,
  headDim: 32,
  contextLength: 8192,
} as const;
/**
 * Measured: peak 0.139 for both methods, growth 0.137 (snapkv) and 0.133 (streaming-llm);
 * measuring 115 bytes per row.
 */
const MAX_SHARE = 0.15;
/** What measuring may take besides, bytes per row of one layer, however many layers there are. */
const MEASURING_BYTES = 200;

const HEADROOM = 16;

interface Measured {
  readonly usage: CacheUsage;
  /** Growth of the WASM memory from a loaded model to the end of the answer, bytes. */
  readonly growth: number;
}

let file: Uint8Array;

/** One prompt in an engine of its own: WASM memory never shrinks. */
async function measure(options: SessionOptions): Promise<Measured> {
  const model = await openLocal(file, WASM_Q8);
  const before = model.memory();
  const session = model.session({ headroom: HEADROOM, ...options });
  const tokens = Array.from({ length: N_TOKENS }, (_, i) => (i * 97) % 256);
  const { done } = await answer(session, { tokens }, { maxTokens: 2, ignoreEos: true });
  const growth = model.memory().reservedBytes - before.reservedBytes;
  session.dispose();
  expect(model.memory().bytes, "bytes after dispose").toBe(before.bytes);
  model.dispose();
  return { usage: done.usage.cache, growth };
}

describe(`${N_TOKENS} tokens`, () => {
  let full: Measured;
  /** What a run takes besides its cache: hidden states, rope tables, workspace, scratch. */
  let activations: number;
  beforeAll(async () => {
    file = syntheticLlama(SHAPE);
    full = await measure({});
    // Sinks and one newest row: the growth less what the cache says of itself is not the cache's.
    const tiny = await measure({ method: "streaming-llm", budget: { tokens: 5 } });
    activations = tiny.growth - tiny.usage.peakBytes;
  });

  test("the full cache holds everything, and its growth is nearly all cache", () => {
    const rowBytes = 2 * 2 * SHAPE.headDim + 4;
    expect(full.usage.fullBytes).toBe((N_TOKENS + 1 + HEADROOM) * SHAPE.nLayers * rowBytes);
    expect(full.usage.keptRows).toBe(full.usage.fullRows);
    // The answer's one row is taken from the headroom.
    expect(full.usage.bytes).toBe(full.usage.fullBytes - SHAPE.nLayers * rowBytes);
    expect(activations).toBeGreaterThan(0);
    expect(activations).toBeLessThan(0.2 * full.growth);
    expect(full.growth - activations).toBeGreaterThanOrEqual(0.95 * full.usage.peakBytes);
  });

  test.each([
    ["snapkv", { name: "snapkv", windowSize: 4 }],
    ["streaming-llm", "streaming-llm"],
  ] as const)(
    `%s, keep 0.1: peak and growth at most ${MAX_SHARE} of full`,
    async (method, tinyMethod) => {
      const { usage, growth } = await measure({ method, budget: { keep: 0.1 } });
      // The same prompt and the same measuring over as many rows; only the cache is five rows.
      const tiny = await measure({ method: tinyMethod, budget: { tokens: 5 } });
      const working = tiny.growth - tiny.usage.peakBytes;
      expect(usage.keptRows).toBe((N_TOKENS / 10 + 1) * SHAPE.nLayers);
      const peakShare = usage.peakBytes / usage.fullBytes;
      const growthShare = (growth - working) / (full.growth - activations);
      expect(peakShare).toBeLessThanOrEqual(MAX_SHARE);
      expect(growthShare).toBeLessThanOrEqual(MAX_SHARE);
      expect(working - activations).toBeLessThanOrEqual(MEASURING_BYTES * N_TOKENS);
    },
  );
});

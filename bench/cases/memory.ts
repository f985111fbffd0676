import { answer } from "../answer.ts";
import { AllocationLog } from "../probes/allocation-log.ts";
import { specOf } from "../replay.ts";
import { type BenchCase, check, sameTokens } from "./case.ts";
import { expectAnswer } from "./decode.ts";
import { bytes } from "./metrics.ts";

const ANSWER_TOKENS = 3;

export const memory: BenchCase = {
  name: "memory",
  measures: "bytes of the cache and of the engine, by method",
  metrics: {
    cacheBytes: bytes("cache"),
    fullBytes: bytes("full cache"),
    peakCacheBytes: bytes("cache at its peak"),
    peakEngineBytes: bytes("engine at its peak"),
    cacheAtPeakBytes: bytes("of it cache"),
    activationBytes: bytes("of it activations"),
    ownBytes: bytes("taken beyond that, at most"),
    reservedBytes: bytes("WASM memory or GPU buffers"),
  },
  isDeterministic: true,
  variants: ({ context, budget, allMethods }) =>
    allMethods.map((method) => ({
      name: method === "full" ? `full, ${context} tokens` : `${method}, ${context} to ${budget}`,
      params: { nTokens: context, nDecode: ANSWER_TOKENS, method, budgetTokens: budget },
    })),
  expect: expectAnswer,
  async measure(bench, params, expected) {
    const spec = specOf(params.method, params.budgetTokens);
    const log = new AllocationLog(bench.model.parts.transformer.engine);
    const prompt = bench.prompt(params.nTokens);
    const { tokens, usage } = await answer(bench, prompt, params.nDecode, spec);
    log.stop();
    sameTokens("the answer", tokens, expected);
    const { cache } = usage;
    const { nLayers, nKvHeads } = bench.model.config;
    const nRows = cache.perLayer.reduce(
      (sum, { rows }) => sum + rows.reduce((a, b) => a + b, 0),
      0,
    );
    check(nRows === cache.keptRows, `Cannot trust ${cache.keptRows} rows: layers hold ${nRows}`);
    check(
      cache.fullRows === usage.position * nLayers * nKvHeads,
      `Cannot trust ${cache.fullRows} full rows after ${usage.position} tokens`,
    );
    const { peakBytes, reservedBytes } = bench.model.memory();
    return {
      metrics: {
        cacheBytes: cache.bytes,
        fullBytes: cache.fullBytes,
        peakCacheBytes: cache.peakBytes,
        peakEngineBytes: peakBytes,
        cacheAtPeakBytes: log.peak.cacheBytes,
        activationBytes: log.peak.activationBytes,
        ownBytes: log.peak.ownBytes,
        reservedBytes,
      },
      output: { tokens: [...tokens], keptRows: cache.keptRows, fullRows: cache.fullRows },
    };
  },
};

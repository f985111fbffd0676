import { answer } from "../answer.ts";
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
    reservedBytes: bytes("WASM memory"),
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
    const { tokens, usage } = await answer(
      bench,
      bench.prompt(params.nTokens),
      params.nDecode,
      spec,
    );
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
        reservedBytes,
      },
      output: { tokens: [...tokens], keptRows: cache.keptRows, fullRows: cache.fullRows },
    };
  },
};

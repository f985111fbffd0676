import { answer, warmUp } from "../answer.ts";
import { readBandwidth } from "../bandwidth.ts";
import type { Json, Params } from "../job.ts";
import { checkGreedy, specOf } from "../replay.ts";
import { type Bench, type BenchCase, type Measured, sameTokens } from "./case.ts";
import { bytes, decodeRateMetric, ms, prefillRateMetric } from "./metrics.ts";

const metrics = {
  decodeTokensPerSecond: decodeRateMetric,
  prefillTokensPerSecond: prefillRateMetric,
  timeToFirstTokenMs: ms("first token"),
  cacheBytes: bytes("cache"),
  fullBytes: bytes("full cache"),
  peakCacheBytes: bytes("cache at its peak"),
  readShare: {
    title: "weights and cache read, of one thread's read loop",
    unit: "share",
    better: "higher",
  },
} as const;

/** The greedy answer, checked by the batched path over a cache that is compressed the same way. */
export async function expectAnswer(bench: Bench, params: Params): Promise<Json> {
  const spec = specOf(params.method, params.budgetTokens);
  const prompt = bench.prompt(params.nTokens);
  const { tokens } = await answer(bench, prompt, params.nDecode, spec);
  await checkGreedy(bench, prompt, tokens, spec);
  return [...tokens];
}

export async function measureAnswer(
  bench: Bench,
  params: Params,
  expected: Json,
): Promise<Measured> {
  const spec = specOf(params.method, params.budgetTokens);
  await warmUp(bench, spec);
  const prompt = bench.prompt(params.nTokens);
  // A GPU compiles programs of their own for long contexts, and a prompt costs it little.
  if (bench.model.engine.name === "webgpu") await answer(bench, prompt, params.nDecode, spec);
  const { tokens, usage } = await answer(bench, prompt, params.nDecode, spec);
  sameTokens("the answer", tokens, expected);
  const { timing, cache } = usage;
  const { engine } = bench.model;
  // Every weight is read for every token: the embedding is the output matrix, or read in part.
  const readBytes = bench.model.memory().weightBytes + cache.bytes;
  return {
    metrics: {
      decodeTokensPerSecond: timing.decodeTokensPerSecond,
      prefillTokensPerSecond: (1000 * params.nTokens) / timing.timeToFirstTokenMs,
      timeToFirstTokenMs: timing.timeToFirstTokenMs,
      cacheBytes: cache.bytes,
      fullBytes: cache.fullBytes,
      peakCacheBytes: cache.peakBytes,
      ...(engine.name === "wasm"
        ? { readShare: (timing.decodeTokensPerSecond * readBytes) / readBandwidth() }
        : {}),
    },
    output: [...tokens],
  };
}

export const decode: BenchCase = {
  name: "decode",
  measures: "decode over a full cache, by the length of the context",
  metrics,
  variants: ({ contexts, decode: nDecode }) =>
    contexts.map((nTokens) => ({ name: `full, ${nTokens} tokens`, params: { nTokens, nDecode } })),
  expect: expectAnswer,
  measure: measureAnswer,
};

export const compressedDecode: BenchCase = {
  name: "compressed-decode",
  measures: "decode over a compressed cache, beside the full cache and one that was always small",
  metrics,
  variants({ context, budget, methods, decode: nDecode }) {
    const long = { nTokens: context, nDecode };
    return [
      { name: `full, ${context} tokens`, params: { ...long, method: "full" } },
      ...methods
        .filter((method) => method !== "full")
        .map((method) => ({
          name: `${method}, ${context} tokens to ${budget}`,
          params: { ...long, method, budgetTokens: budget },
        })),
      { name: `full, ${budget} tokens`, params: { nTokens: budget, nDecode, method: "full" } },
    ];
  },
  expect: expectAnswer,
  measure: measureAnswer,
};

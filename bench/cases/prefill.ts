import { expectAnswer, measureAnswer } from "./decode.ts";
import type { BenchCase } from "./case.ts";
import { bytes, ms, prefillRateMetric } from "./metrics.ts";

/** What the answer's first tokens say about the prefill; the decode's own rate is not reported. */
const N_CHECKED = 3;

export const prefill: BenchCase = {
  name: "prefill",
  measures: "prefill of a prompt into a full cache, up to the first answer token",
  metrics: {
    prefillTokensPerSecond: prefillRateMetric,
    timeToFirstTokenMs: ms("first token"),
    peakCacheBytes: bytes("cache at its peak"),
  },
  variants: ({ prefills }) =>
    prefills.map((nTokens) => ({
      name: `${nTokens} tokens`,
      params: { nTokens, nDecode: N_CHECKED },
    })),
  expect: expectAnswer,
  async measure(bench, params, expected) {
    const { metrics, output } = await measureAnswer(bench, params, expected);
    const {
      prefillTokensPerSecond = NaN,
      timeToFirstTokenMs = NaN,
      peakCacheBytes = NaN,
    } = metrics;
    return { metrics: { prefillTokensPerSecond, timeToFirstTokenMs, peakCacheBytes }, output };
  },
};

// The comparison with other runtimes: a prefill and a decode, the lengths and texts that they use.
import { answer, prefillRate, warmUp } from "../answer.ts";
import { checkGreedy, specOf } from "../replay.ts";
import { type BenchCase, sameTokens } from "./case.ts";
import { decodeRateMetric, prefillRateMetric } from "./metrics.ts";

const PREFILL_CHECK_TOKENS = 3;

export const speed: BenchCase = {
  name: "speed",
  measures: "prefill of one prompt and decode after a short one, as other runtimes are measured",
  metrics: {
    prefillTokensPerSecond: prefillRateMetric,
    decodeTokensPerSecond: decodeRateMetric,
    loadMs: { title: "load", unit: "ms", better: "lower" },
  },
  variants: ({ prefills, prompt, decode }) => {
    const nPrefill = prefills[0] ?? 512;
    const params = { nPrefill, nTokens: prompt, nDecode: decode };
    return [{ name: `prefill ${nPrefill}, decode ${decode} after ${prompt}`, params }];
  },
  async expect(bench, { nPrefill = 512, nTokens, nDecode }) {
    const outputs: number[][] = [];
    for (const [length, n] of [
      [nPrefill, PREFILL_CHECK_TOKENS],
      [nTokens, nDecode],
    ] as const) {
      const { tokens } = await answer(bench, bench.words(length), n);
      await checkGreedy(bench, bench.words(length), tokens, specOf());
      outputs.push([...tokens]);
    }
    return outputs;
  },
  async measure(bench, { nPrefill = 512, nTokens, nDecode }, expected) {
    await warmUp(bench);
    const first = await answer(bench, bench.words(nPrefill), PREFILL_CHECK_TOKENS);
    const second = await answer(bench, bench.words(nTokens), nDecode);
    const output = [first.tokens, second.tokens];
    sameTokens("the answers", output.flat(), Array.isArray(expected) ? expected.flat() : null);
    return {
      metrics: {
        prefillTokensPerSecond: prefillRate(first),
        decodeTokensPerSecond: second.usage.timing.decodeTokensPerSecond,
        loadMs: bench.model.loadMs,
      },
      output,
    };
  },
};

import { answer } from "../../answer.ts";
import { DispatchCount } from "../../probes/dispatch-count.ts";
import { type Bench, type BenchCase, sameTokens } from "../case.ts";
import { expectAnswer } from "../decode.ts";
import { decodeRateMetric, ms } from "../metrics.ts";
import { limitsOf } from "./limits.ts";
import { leastStepMs, rowBytes } from "./work.ts";

/** Decode beside what the card and its driver allow, both measured in this process. */
export const gpuDecode: BenchCase = {
  name: "gpu-decode",
  measures: "decode on a GPU, its dispatches, and its share of what bytes and dispatches allow",
  metrics: {
    decodeTokensPerSecond: decodeRateMetric,
    nDispatches: { title: "dispatches a token", unit: "number", better: "lower" },
    readBytes: { title: "read for a token", unit: "bytes", better: "lower" },
    limitTokensPerSecond: { title: "limit", unit: "tokens/s", better: "higher" },
    limitShare: { title: "of the limit", unit: "share", better: "higher" },
    bytesMs: ms("a token's bytes at the copy's rate"),
    dispatchesMs: ms("its dispatches"),
    copyRate: { title: "copy, read and written", unit: "GB/s", better: "higher" },
    dispatchUs: { title: "one dispatch", unit: "us", better: "lower" },
    readBackMs: ms("read back"),
  },
  variants: ({ contexts, decode: nDecode }) =>
    contexts.map((nTokens) => ({ name: `full, ${nTokens} tokens`, params: { nTokens, nDecode } })),
  expect: expectAnswer,
  async measure(bench, { nTokens, nDecode }, expected) {
    const prompt = bench.prompt(nTokens);
    const nDispatches = await countDispatches(bench, prompt, nDecode);
    const { tokens, usage } = await answer(bench, prompt, nDecode);
    sameTokens("the answer", tokens, expected);
    const limits = await limitsOf(bench);
    const { decodeTokensPerSecond } = usage.timing;
    const { transformer } = bench.model.parts;
    const rows = rowBytes(
      transformer.config,
      transformer.engine.defaults.codec,
      nTokens + nDecode / 2,
    );
    const readBytes = bench.model.memory().weightBytes + rows;
    const limitTokensPerSecond = 1000 / leastStepMs(limits, readBytes, nDispatches);
    return {
      metrics: {
        decodeTokensPerSecond,
        nDispatches,
        readBytes,
        limitTokensPerSecond,
        limitShare: decodeTokensPerSecond / limitTokensPerSecond,
        bytesMs: (1000 * readBytes) / limits.copyBytesPerSecond,
        dispatchesMs: nDispatches * limits.dispatchMs,
        copyRate: limits.copyBytesPerSecond / 1e9,
        dispatchUs: 1000 * limits.dispatchMs,
        readBackMs: limits.readBackMs,
      },
      output: { tokens: [...tokens], adapter: limits.adapter },
    };
  },
};

/** Also the warm-up: every program of the timed answer is compiled here. */
async function countDispatches(
  bench: Bench,
  prompt: Uint32Array,
  nDecode: number,
): Promise<number> {
  const count = new DispatchCount(bench.model);
  try {
    await answer(bench, prompt, nDecode);
    return count.perStep;
  } finally {
    count.stop();
  }
}

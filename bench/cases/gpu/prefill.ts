import { type Answer, answer } from "../../answer.ts";
import { specOf } from "../../replay.ts";
import { type BenchCase, sameTokens } from "../case.ts";
import { expectAnswer } from "../decode.ts";
import { ms, prefillRateMetric } from "../metrics.ts";
import { limitsOf } from "./limits.ts";
import { prefillFlops } from "./work.ts";

const KEEP = 0.1;
const N_CHECKED = 3;
/** Each after the full cache's own, the best of each is taken. */
const REPEATS = 3;

/** A prefill beside a plain matrix product, and with compression beside none, in one process. */
export const gpuPrefill: BenchCase = {
  name: "gpu-prefill",
  measures: `prefill on a GPU, its share of a plain matrix product's rate; compressed to keep ${KEEP}`,
  metrics: {
    prefillTokensPerSecond: prefillRateMetric,
    firstTokenMs: ms("first token"),
    fullMs: ms("first token over a full cache"),
    overFull: { title: "over the full cache's", unit: "number", better: "lower" },
    flopRate: { title: "rate", unit: "TFLOP/s", better: "higher" },
    productRate: { title: "plain product", unit: "TFLOP/s", better: "higher" },
    productShare: { title: "share of it", unit: "share", better: "higher" },
  },
  variants({ prefills, promptMethods }) {
    const names = promptMethods.filter((name) => name !== "full");
    return prefills.flatMap((nTokens) =>
      ["full", ...names].map((method) => ({
        name: method === "full" ? `full, ${nTokens} tokens` : `${method}, ${nTokens} to ${KEEP}`,
        params: { nTokens, nDecode: N_CHECKED, method, budgetTokens: Math.round(KEEP * nTokens) },
      })),
    );
  },
  expect: expectAnswer,
  async measure(bench, { nTokens, nDecode, method, budgetTokens }, expected) {
    const prompt = bench.prompt(nTokens);
    const spec = specOf(method, budgetTokens);
    const isFull = spec.method === "full";
    const times: { own: number[]; full: number[] } = { own: [], full: [] };
    const firstTokenMs = ({ usage }: Answer): number => usage.timing.timeToFirstTokenMs;
    let tokens: readonly number[] = [];
    for (let i = 0; i <= REPEATS; i++) {
      const full = await answer(bench, prompt, nDecode);
      const own = isFull ? full : await answer(bench, prompt, nDecode, spec);
      sameTokens("the answer", own.tokens, expected);
      tokens = own.tokens;
      if (i === 0) continue; // the warm-up
      times.full.push(firstTokenMs(full));
      times.own.push(firstTokenMs(own));
    }
    const [ownMs, fullMs] = [Math.min(...times.own), Math.min(...times.full)];
    const { matMulFlops } = await limitsOf(bench);
    const flops = prefillFlops(bench.model.config, nTokens) / (ownMs / 1000);
    return {
      metrics: {
        prefillTokensPerSecond: (1000 * nTokens) / ownMs,
        firstTokenMs: ownMs,
        ...(isFull ? {} : { fullMs, overFull: ownMs / fullMs }),
        flopRate: flops / 1e12,
        productRate: matMulFlops / 1e12,
        productShare: flops / matMulFlops,
      },
      output: [...tokens],
    };
  },
};

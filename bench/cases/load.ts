import { answer } from "../answer.ts";
import { checkGreedy, specOf } from "../replay.ts";
import { type BenchCase, sameTokens } from "./case.ts";
import { bytes, ms } from "./metrics.ts";

const PROMPT_TOKENS = 32;
const ANSWER_TOKENS = 3;

/**
 * The process's first load and answer: nothing is warm but the disk's cache, since the file is read once
 * before, through the same byte source and with nothing done to its bytes.
 */
export const load: BenchCase = {
  name: "load",
  measures: "from the model's bytes to a model that answers, in a fresh process",
  readsFirst: true,
  metrics: {
    readMs: ms("plain read"),
    loadMs: ms("load"),
    loadPerRead: { title: "load / plain read", unit: "number", better: "lower" },
    firstAnswerMs: ms("first token of a short prompt after it"),
    weightBytes: bytes("weights"),
  },
  variants: () => [
    { name: "file to answer", params: { nTokens: PROMPT_TOKENS, nDecode: ANSWER_TOKENS } },
  ],
  async expect(bench, { nTokens, nDecode }) {
    const { tokens } = await answer(bench, bench.words(nTokens), nDecode);
    await checkGreedy(bench, bench.words(nTokens), tokens, specOf());
    return [...tokens];
  },
  async measure(bench, { nTokens, nDecode }, expected) {
    const { tokens, usage } = await answer(bench, bench.words(nTokens), nDecode);
    sameTokens("the first answer", tokens, expected);
    const metrics = {
      readMs: bench.readMs,
      loadMs: bench.model.loadMs,
      loadPerRead: bench.model.loadMs / bench.readMs,
      firstAnswerMs: usage.timing.timeToFirstTokenMs,
      weightBytes: bench.model.memory().weightBytes,
    };
    return { metrics, output: [...tokens] };
  },
};

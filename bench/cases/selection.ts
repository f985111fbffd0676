import { warmUp } from "../answer.ts";
import { specOf } from "../replay.ts";
import { SelectionClock } from "../probes/selection-clock.ts";
import type { SessionUsage } from "../../src/types.ts";
import { type Bench, type BenchCase, sameTokens } from "./case.ts";
import { expectAnswer } from "./decode.ts";
import { ms } from "./metrics.ts";

const ANSWER_TOKENS = 3;

export const selection: BenchCase = {
  name: "selection",
  measures: "the part of a prefill that measuring, selecting and gathering take, by method",
  metrics: {
    overFullShare: { title: "share of the prefill beyond full's", unit: "share", better: "lower" },
    selectionShare: { title: "between layers, share", unit: "share", better: "lower" },
    prefillMs: ms("prefill"),
    selectionMs: ms("between layers"),
    measureMs: ms("measure"),
    selectMs: ms("select"),
    gatherMs: ms("gather"),
  },
  variants: ({ context, budget, allMethods }) =>
    allMethods.map((method) => ({
      name: method === "full" ? `full, ${context} tokens` : `${method}, ${context} to ${budget}`,
      params: { nTokens: context, nDecode: ANSWER_TOKENS, method, budgetTokens: budget },
    })),
  expect: expectAnswer,
  async measure(bench, params, expected) {
    const spec = specOf(params.method, params.budgetTokens);
    await warmUp(bench, spec);
    const fullMs = params.method === "full" ? null : await prefillOfFull(bench, params.nTokens);
    const session = bench.model.session(spec);
    const clock = new SelectionClock(bench.model);
    const tokens: number[] = [];
    let usage: SessionUsage | undefined;
    try {
      const options = { maxTokens: params.nDecode + 1, ignoreEos: true };
      for await (const event of session.generate(
        { tokens: bench.prompt(params.nTokens) },
        options,
      )) {
        if (event.type !== "token") continue;
        if (tokens.length === 0) clock.stop();
        tokens.push(event.token);
      }
      usage = session.usage();
    } finally {
      session.dispose();
    }
    sameTokens("the answer", tokens, expected);
    const { prefillMs } = usage.timing;
    return {
      metrics: {
        // Column sums are part of attention: between layers they do not show.
        ...(fullMs === null ? {} : { overFullShare: 1 - fullMs / prefillMs }),
        selectionShare: clock.betweenMs / prefillMs,
        prefillMs,
        selectionMs: clock.betweenMs,
        measureMs: clock.measureMs,
        selectMs: clock.selectMs,
        gatherMs: clock.gatherMs,
      },
      output: tokens,
    };
  },
};

/** Milliseconds that the same prompt takes without a method, in this process. */
async function prefillOfFull(bench: Bench, nTokens: number): Promise<number> {
  const session = bench.model.session();
  try {
    const tokens = bench.prompt(nTokens);
    for await (const event of session.generate({ tokens }, { maxTokens: 1, ignoreEos: true })) {
      if (event.type === "token") break;
    }
    return session.usage().timing.prefillMs;
  } finally {
    session.dispose();
  }
}

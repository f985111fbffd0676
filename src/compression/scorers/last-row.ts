import type { LayerContext, Scorer, Scores } from "../method.ts";

/** What the newest query attends to, the mean over all query heads: one list for the whole layer. */
export const lastRowScorer: Scorer = {
  needs: { prefill: ["lastRow"], decode: ["lastRow"] },
  score(context: LayerContext): Scores {
    const { kernels, model, rows } = context;
    const { sums } = context.signal("lastRow");
    const mean = kernels.groupReduce(sums, model.nHeads, model.nHeads, "mean");
    return { perHead: [mean.slice(0, rows.length[0])], nSink: 0, nRecent: 1 };
  },
};

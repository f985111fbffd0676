// h2o: the rows that received the most attention of all queries so far, and the newest ones; after the
// prompt and after every step.
//
// Source: Zhang et al. 2023, arXiv:2306.14048; code FMInference/H2O, ac75c2a (real-drop form).
// Deviation: reduced over the query heads of a group (the reference is wrong for groups); evicted rows
// do not come back (its simulation lets them). `isPerQuery` with `recentShare: 0` is kvpress's
// ObservedAttentionPress, without the bias of sums to early rows.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { flag, integer, oneOf, real } from "../parameters.ts";
import { accumulatedScorer } from "../scorers/accumulated.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const h2o = defineMethod({
  id: "h2o",
  keeps: "rows with the most attention of all queries so far, and the newest",
  paper: "arXiv:2306.14048",
  parameters: {
    /** Share of the budget for the newest rows, which need no score to stay. */
    recentShare: real({ default: 0.5, min: 0, max: 1 }),
    /** Sums are divided by the number of queries that could see the row. */
    isPerQuery: flag(false),
    /** Reduction over the query heads of a kv head. */
    groupAgg: oneOf(["mean", "max"], "mean"),
    /** Decode steps between two evictions; 0: after the prompt only. */
    interval: integer({ default: 1, min: 0 }),
  },
  create: (options) =>
    compose({
      scorer: accumulatedScorer(options),
      selector: tokenTopK,
      schedule: { everySteps: options.interval },
      remember: () => new Map(),
      // Rows of one head cannot go to another: each accumulates for itself.
      minRows: 2,
    }),
});

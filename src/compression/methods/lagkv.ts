// lagkv: the rows whose keys and values stand out in the ranges of the rows that follow them.
//
// Source: Liang et al. 2025, arXiv:2504.04704; code AI-Lab-China-Merchants-Bank/LagKV, 2a9d19e, in
// kvpress's form (LagKVPress).
// Deviation: as in kvpress, ranks of all partitions compete for one budget (the reference keeps the
// same fraction of each) and short prompts keep the newest rows; a channel without range counts as
// if its range were 1e-6.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { integer } from "../parameters.ts";
import { lagScorer } from "../scorers/lag.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const lagkv = defineMethod({
  id: "lagkv",
  keeps: "rows whose keys and values stand out from those that follow",
  paper: "arXiv:2504.04704",
  parameters: {
    ...lagScorer.parameters,
    /** Decode steps between two evictions; 0: after the prompt only. */
    interval: integer({ default: 0, min: 0 }),
  },
  create: ({ interval, ...options }) =>
    compose({
      scorer: lagScorer.create(options),
      selector: tokenTopK,
      schedule: { everySteps: interval },
    }),
});

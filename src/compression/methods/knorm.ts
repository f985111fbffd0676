// knorm: the rows with the shortest keys, which draw the most attention.
//
// Source: Devoto et al. 2024, arXiv:2406.11430; code alessiodevoto/l2compress, f93d6ca.
// Deviation: rounds budgets down (the reference up) and never drops the newest row (the reference
// may). kvpress's KnormPress skips no layer: `skipLayers: 0`.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { integer } from "../parameters.ts";
import { keyNormScorer } from "../scorers/key-norm.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const knorm = defineMethod({
  id: "knorm",
  keeps: "rows with the shortest keys",
  paper: "arXiv:2406.11430",
  parameters: {
    /** First layers that keep all rows: there the norm of a key tells little. */
    skipLayers: integer({ default: 2, min: 0 }),
    /** Decode steps between two evictions; 0: after the prompt only. */
    interval: integer({ default: 0, min: 0 }),
  },
  create: ({ skipLayers, interval }) =>
    compose({
      scorer: keyNormScorer.create({}),
      selector: tokenTopK,
      schedule: { everySteps: interval },
      // The last layer always evicts, else a small model would keep everything.
      skips: (layer, { nLayers }) => layer < Math.min(skipLayers, nLayers - 1),
    }),
});

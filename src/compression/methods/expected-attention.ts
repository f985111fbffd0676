// expected-attention: the rows that queries to come are expected to attend to, times the norm of
// what they would read there. Queries are modelled by mean and covariance before their rotation.
//
// Source: Devoto et al. 2025, arXiv:2510.00636; code NVIDIA/kvpress (ExpectedAttentionPress).
// Deviation: the mean rotation in closed form instead of an average over tables (the same within
// 1e-10); the model's own attention scale; a prompt no longer than the sinks keeps them (the
// reference fails); the newest row always stays.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { integer } from "../parameters.ts";
import { expectedAttentionScorer } from "../scorers/expected-attention.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const expectedAttention = defineMethod({
  id: "expected-attention",
  keeps: "rows that queries to come are expected to attend to",
  paper: "arXiv:2510.00636",
  parameters: {
    ...expectedAttentionScorer.parameters,
    /** Decode steps between two evictions; 0: after the prompt only. */
    interval: integer({ default: 0, min: 0 }),
  },
  create: ({ interval, ...options }) =>
    compose({
      scorer: expectedAttentionScorer.create(options),
      selector: tokenTopK,
      schedule: { everySteps: interval },
    }),
});

// keydiff: the rows whose keys point elsewhere than the head's keys do on average.
//
// Source: Park et al. 2025, arXiv:2504.15364, in kvpress's one-shot form (KeyDiffPress).
// Deviation: scored once over the whole prompt (the paper evicts block by block while it reads);
// the newest row always stays.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { integer } from "../parameters.ts";
import { keyDiffScorer } from "../scorers/key-diff.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const keydiff = defineMethod({
  id: "keydiff",
  keeps: "rows whose keys differ most from the head's mean key",
  paper: "arXiv:2504.15364",
  parameters: {
    /** Decode steps between two evictions; 0: after the prompt only. */
    interval: integer({ default: 0, min: 0 }),
  },
  create: ({ interval }) =>
    compose({
      scorer: keyDiffScorer.create({}),
      selector: tokenTopK,
      schedule: { everySteps: interval },
    }),
});

// tova: the rows that the newest query attends to, the same for all heads, after the prompt and after
// every step.
//
// Source: Oren et al. 2024, arXiv:2401.06104; code schwartz-lab-NLP/TOVA, 9c7d09b.
// Deviation: the newest row always stays, as in kvpress (in the reference it competes).
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { integer } from "../parameters.ts";
import { lastRowScorer } from "../scorers/last-row.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const tova = defineMethod({
  id: "tova",
  keeps: "rows that the newest query attends to",
  paper: "arXiv:2401.06104",
  parameters: {
    /** Decode steps between two evictions; 0: after the prompt only. */
    interval: integer({ default: 1, min: 0 }),
  },
  create: ({ interval }) =>
    compose({
      scorer: lastRowScorer,
      selector: tokenTopK,
      schedule: { everySteps: interval },
      capabilities: { raggedHeads: false, sharedAcrossHeads: true },
    }),
});

// keydiff: the rows whose keys point elsewhere than the head's keys do on average.
//
// Source: Park et al. 2025, arXiv:2504.15364, in kvpress's one-shot form (KeyDiffPress).
// Deviation: scored once over the whole prompt (the paper evicts block by block while it reads);
// the newest row always stays.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { keyDiffScorer } from "../scorers/key-diff.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const keydiff = defineMethod({
  id: "keydiff",
  create: () => compose({ scorer: keyDiffScorer.create({}), selector: tokenTopK }),
});

// recent-only: the newest rows, without sinks. A control: what forgetting the beginning costs.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { recencyScorer } from "../scorers/recency.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const recentOnly = defineMethod({
  id: "recent-only",
  keeps: "the newest rows: a control",
  create: () =>
    compose({
      scorer: recencyScorer(0),
      selector: tokenTopK,
      capabilities: { raggedHeads: false, sharedAcrossHeads: true },
    }),
});

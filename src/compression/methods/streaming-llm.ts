// streaming-llm: attention sinks and the newest rows, the same for all heads, without any signal.
//
// Source: Xiao et al. 2023, arXiv:2309.17453, in kvpress's form (StreamingLLMPress).
// Deviation: as in kvpress, rows keep their original positions (the paper moves them to their place
// in the cache) and the cut is made once, after the prompt (the paper's at each step).
import { compose } from "../compose.ts";
import { integer } from "../parameters.ts";
import { defineMethod } from "../define-method.ts";
import { recencyScorer } from "../scorers/recency.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const streamingLlm = defineMethod({
  id: "streaming-llm",
  parameters: {
    /** First rows that always stay. */
    nSink: integer({ default: 4, min: 0 }),
  },
  create: ({ nSink }) =>
    compose({
      scorer: recencyScorer(nSink),
      selector: tokenTopK,
      minRows: nSink + 1,
      capabilities: { raggedHeads: false, sharedAcrossHeads: true, queryAware: false },
    }),
});

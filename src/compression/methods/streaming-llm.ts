// streaming-llm: attention sinks and the newest rows, the same for all heads, without any signal.
//
// Source: Xiao et al. 2023, arXiv:2309.17453; `positions: "original"` is kvpress's StreamingLLMPress.
// With `positions: "cache"` the rows lie one after the other, as in the paper: the newest keep their
// rotation, the sinks are turned up to them, which is the same for every query.
// Deviation: the paper cuts at each step; here `interval` steps pass between two cuts, as each turn of
// a sink is rounded in the cache's codec.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { rowsInOrder } from "../in-order.ts";
import { integer, oneOf } from "../parameters.ts";
import { recencyScorer } from "../scorers/recency.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const streamingLlm = defineMethod({
  id: "streaming-llm",
  keeps: "the first rows (sinks) and the newest",
  paper: "arXiv:2309.17453",
  parameters: {
    /** First rows that always stay. */
    nSink: integer({ default: 4, min: 0 }),
    /** Where rows are rotated to: their own place in the text, or in the cache. */
    positions: oneOf(["original", "cache"], "original"),
    /** Decode steps between two cuts; 0: after the prompt and on overflow only. */
    interval: integer({ default: 0, min: 0 }),
  },
  create: ({ nSink, positions, interval }) => {
    const parts = compose({
      scorer: recencyScorer(nSink),
      selector: tokenTopK,
      minRows: nSink + 1,
      schedule: { everySteps: interval },
      capabilities: {
        raggedHeads: false,
        sharedAcrossHeads: true,
        queryAware: false,
        changesPositions: positions === "cache",
      },
    });
    return positions === "cache" ? rowsInOrder(parts) : parts;
  },
});

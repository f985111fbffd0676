// snapkv: the rows that the last prompt tokens attended to most, chosen per kv head.
//
// Source: Li et al. 2024, arXiv:2404.14469; code FasterDecoding/SnapKV, e216ddc.
// Deviation: reduced over the query heads of a group and stored per kv head (the reference stores
// every query head); the budget includes the window; a prompt shorter than the window scores with
// one query less than it has; a budget below the window keeps the newest rows.
import { compose } from "../compose.ts";
import { integer, oneOf } from "../parameters.ts";
import { defineMethod } from "../define-method.ts";
import { windowScorer } from "../scorers/window.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const snapkv = defineMethod({
  id: "snapkv",
  parameters: {
    /** Last prompt tokens whose attention scores the rest; they always stay. */
    windowSize: integer({ default: 64, min: 1 }),
    /** Neighbouring rows that share their scores. */
    kernelSize: integer({ default: 5, min: 1, isOdd: true }),
    pooling: oneOf(["avg", "max"], "avg"),
    /** Reduction over the query heads of a kv head. */
    groupAgg: oneOf(["mean", "max"], "mean"),
  },
  create: (options) =>
    compose({
      scorer: windowScorer(options),
      selector: tokenTopK,
      minRows: options.windowSize + 1,
    }),
});

// snapkv: the rows that the last prompt tokens attended to most, chosen per kv head.
//
// Source: Li et al. 2024, arXiv:2404.14469; code FasterDecoding/SnapKV, e216ddc.
// Deviation: reduced over the query heads of a group and stored per kv head (the reference stores
// every query head); the budget includes the window; a prompt shorter than the window scores with
// one query less than it has; a budget below the window keeps the newest rows.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { windowParameters, windowScorer } from "../scorers/window.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const snapkv = defineMethod({
  id: "snapkv",
  keeps: "rows that the last prompt tokens attended to most",
  paper: "arXiv:2404.14469",
  parameters: windowParameters,
  create: (options) => compose({ scorer: windowScorer(options), selector: tokenTopK }),
});

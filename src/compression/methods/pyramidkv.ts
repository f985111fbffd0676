// pyramidkv: snapkv with more rows in the first layers and fewer in the last.
//
// Source: Cai et al. 2024, arXiv:2406.02069; code Zefan-Cai/KVCache-Factory, c97f9d7.
// Deviation: the total is spent exactly (the reference floors the step and overspends, up to 15 % at
// small budgets); one layer gets what snapkv gives it. `form: "rounded"` is kvpress's: the window
// inside the slope, layers rounded one by one, uniform where the last would be below the window.
import { pyramid } from "../allocators/pyramid.ts";
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { oneOf, real } from "../parameters.ts";
import { windowParameters, windowScorer } from "../scorers/window.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const pyramidkv = defineMethod({
  id: "pyramidkv",
  keeps: "snapkv's rows, more of them in the first layers than in the last",
  paper: "arXiv:2406.02069",
  parameters: {
    ...windowParameters,
    /** The last layer has 1 / beta of the mean beyond the window. */
    beta: real({ default: 20, min: 1 }),
    form: oneOf(["exact", "rounded"], "exact"),
  },
  create: (options) =>
    compose({
      scorer: windowScorer(options),
      allocator: pyramid(options),
      selector: tokenTopK,
    }),
});

// adakv: any scorer, with the rows of a layer divided among its heads by where the high scores are.
//
// Source: Feng et al. 2024, arXiv:2407.11550; code FFY0/AdaKV, efe4e2e.
// Deviation: budgets are rounded by largest remainder, so that none is lost (the reference rounds each
// head alone); scores are not normalised per head. `guarantee: "safe"` is kvpress's AdaKVPress: the
// share alpha is a lower bound instead of being mixed in.
import { ada } from "../allocators/ada.ts";
import { compose } from "../compose.ts";
import { defineWrapper } from "../define-wrapper.ts";
import { oneOf, real } from "../parameters.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const adakv = defineWrapper({
  id: "adakv",
  keeps: "a scorer's best rows, divided among the heads of a layer by score",
  paper: "arXiv:2407.11550",
  parameters: {
    /** Share of the mean budget that no head loses. */
    alpha: real({ default: 0.2, min: 0, max: 1 }),
    guarantee: oneOf(["mixing", "safe"], "mixing"),
  },
  scorer: "snapkv",
  create: (rule, scorer) => compose({ scorer, allocator: ada(rule), selector: tokenTopK }),
});

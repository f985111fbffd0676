// critical-kv: half of the budget to the best scores of another method, the rest to the best scores
// times what a row adds to the layer's output.
//
// Source: Feng et al. 2025, arXiv:2502.03805, in kvpress's form (CriticalKVPress).
// Deviation: a forced row takes a place of the first stage whatever it scores.
import { compose } from "../compose.ts";
import { defineWrapper } from "../define-wrapper.ts";
import { real } from "../parameters.ts";
import { twoStage } from "../selectors/two-stage.ts";

export const criticalParameters = {
  /** Added to a score before it is multiplied. */
  epsilon: real({ default: 1e-4, min: 0 }),
  /** Share of the budget that the scores alone decide. */
  firstStage: real({ default: 0.5, min: 0, max: 1 }),
};

export const criticalKv = defineWrapper({
  id: "critical-kv",
  parameters: criticalParameters,
  scorer: "snapkv",
  create: (options, scorer) => compose({ scorer, selector: twoStage({ ...options, alpha: 0 }) }),
});

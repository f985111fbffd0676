// critical-kv: half of the budget to the best scores of another method, the rest to the best scores
// times what a row adds to the layer's output.
//
// Source: Feng et al. 2025, arXiv:2502.03805, in kvpress's form (CriticalKVPress).
// Deviation: a forced row takes a place of the first stage whatever it scores.
import { compose } from "../compose.ts";
import { defineWrapper } from "../define-wrapper.ts";
import { twoStage, twoStageParameters } from "../selectors/two-stage.ts";

export const criticalKv = defineWrapper({
  id: "critical-kv",
  keeps: "half by another method's scores, half by what rows add to the output",
  paper: "arXiv:2502.03805",
  parameters: twoStageParameters,
  scorer: "snapkv",
  create: (options, scorer) => compose({ scorer, selector: twoStage({ ...options, alpha: 0 }) }),
});

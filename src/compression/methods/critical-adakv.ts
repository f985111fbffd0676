// critical-adakv: critical-kv with the rows of a layer divided among its heads as adakv does.
//
// Source: Feng et al. 2025, arXiv:2502.03805, in kvpress's form (CriticalAdaKVPress): alpha is a
// lower bound of what a head keeps by its scores alone.
// Deviation: a forced row takes a place of the first stage whatever it scores.
import { ada } from "../allocators/ada.ts";
import { compose } from "../compose.ts";
import { defineWrapper } from "../define-wrapper.ts";
import { real } from "../parameters.ts";
import { twoStage, twoStageParameters } from "../selectors/two-stage.ts";

export const criticalAdakv = defineWrapper({
  id: "critical-adakv",
  keeps: "critical-kv's rows, divided among heads as adakv does",
  paper: "arXiv:2502.03805",
  parameters: {
    /** Share of the mean budget that each head keeps by score. */
    alpha: real({ default: 0.2, min: 0, max: 1 }),
    ...twoStageParameters,
  },
  scorer: "snapkv",
  create: (options, scorer) =>
    compose({
      scorer,
      allocator: ada({ alpha: options.alpha, guarantee: "safe" }),
      selector: twoStage(options),
    }),
});

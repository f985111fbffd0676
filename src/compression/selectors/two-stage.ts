import type { LayerContext, Scores, Selector } from "../method.ts";
import { real } from "../parameters.ts";
import { reserve } from "./reserve.ts";

export const twoStageParameters = {
  /** Added to a score before it is multiplied. */
  epsilon: real({ default: 1e-4, min: 0 }),
  /** Share of the budget that the scores alone decide. */
  firstStage: real({ default: 0.5, min: 0, max: 1 }),
};

export interface TwoStageOptions {
  /** Added to each score before it is multiplied by the norm. */
  readonly epsilon: number;
  /** Share of a head's budget that the scores alone decide. */
  readonly firstStage: number;
  /** The same as a share of the heads' mean budget, if that is more. */
  readonly alpha: number;
}

/**
 * The best rows by score, then the best of the rest by score times what the row adds to the layer's
 * output: the L1 norm of its value after the output projection, averaged over the query heads.
 */
export function twoStage({ epsilon, firstStage, alpha }: TwoStageOptions): Selector {
  return {
    signals: ["valueOutputNorms"],
    select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[] {
      const { kernels, model } = context;
      const { norms, nRows } = context.signal("valueOutputNorms");
      const perQueryHead = model.nHeads / model.nKvHeads;
      const means = kernels.groupReduce(norms, model.nHeads, perQueryHead, "mean");
      const mean = budget.reduce((sum, n) => sum + n, 0) / budget.length;
      return scores.perHead.map((values, head) => {
        const n = values.length;
        const nKept = Math.min(budget[head] ?? 0, n);
        const nFirst = Math.max(share(nKept, firstStage), share(Math.floor(mean), alpha));
        const forced = reserve(context.forced[head] ?? new Uint32Array(0), scores, n, nKept);
        const first = kernels.select(values, Math.min(nFirst, nKept), forced);
        const ofHead = means.slice(head * nRows, head * nRows + n);
        const weighed = kernels.stats.weigh(values, ofHead, epsilon);
        return kernels.select(weighed, nKept, first);
      });
    },
  };
}

/** A share that is more than 0 is at least one row. */
function share(nRows: number, fraction: number): number {
  return fraction > 0 ? Math.max(1, Math.floor(nRows * fraction)) : 0;
}

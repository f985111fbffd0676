import type { LayerContext, Scores, Selector } from "../method.ts";
import { reserve } from "./reserve.ts";

/**
 * The best rows one by one: first the forced ones, then sinks, then the newest, as far as the budget
 * reaches, then the highest scores; ties go to the older row (methods.md 0.3).
 */
export const tokenTopK: Selector = {
  select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[] {
    return scores.perHead.map((values, head) => {
      const nKept = budget[head] ?? 0;
      const forced = reserve(
        context.forced[head] ?? new Uint32Array(0),
        scores,
        values.length,
        nKept,
      );
      return context.kernels.select(values, Math.min(nKept, values.length), forced);
    });
  },
};

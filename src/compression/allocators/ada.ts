import type { SplitRule } from "../kernels.ts";
import type { Allocator, LayerContext, Scores } from "../method.ts";
import { reserve } from "../selectors/reserve.ts";
import { uniform } from "./uniform.ts";

/**
 * Moves a layer's rows to the heads whose scores are high, beyond what is reserved in each head. The
 * scores of different heads must mean the same. Where one list serves all heads nothing moves.
 */
export function ada(rule: SplitRule): Allocator {
  return {
    ...uniform,
    split(context: LayerContext, scores: Scores): Uint32Array {
      const { budget, forced, kernels } = context;
      if (scores.perHead.length !== budget.length) return budget;
      const reserved = scores.perHead.map(({ length }, head) =>
        reserve(forced[head] ?? new Uint32Array(0), scores, length, budget[head] ?? 0),
      );
      const nFree = reserved.reduce(
        (sum, { length }, head) => sum + Math.max(0, (budget[head] ?? 0) - length),
        0,
      );
      return kernels.split(scores.perHead, reserved, nFree, rule);
    },
  };
}

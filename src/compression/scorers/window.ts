import type { LayerContext, Scorer, Scores } from "../method.ts";
import { integer, oneOf } from "../parameters.ts";

export const windowParameters = {
  /** Last prompt tokens whose attention scores the rest; they always stay. */
  windowSize: integer({ default: 64, min: 1 }),
  /** Neighbouring rows that share their scores. */
  kernelSize: integer({ default: 5, min: 1, isOdd: true }),
  pooling: oneOf(["avg", "max"], "avg"),
  /** Reduction over the query heads of a kv head. */
  groupAgg: oneOf(["mean", "max"], "mean"),
};

export interface WindowOptions {
  /** Queries of the observation window. */
  readonly windowSize: number | "suffix";
  /** Odd; 1: no pooling. */
  readonly kernelSize: number;
  readonly pooling: "avg" | "max";
  readonly groupAgg: "mean" | "max" | "sum";
}

/**
 * How much the last queries attended to each row: the mean of their softmax rows, reduced over the
 * query heads of each kv head, then pooled over neighbours. The window's own rows are not scored:
 * they stay.
 *
 * Reduction comes before pooling, which is one kv head's matter; average pooling commutes with it.
 */
export function windowScorer(options: WindowOptions): Scorer {
  return {
    needs: { prefill: ["window"], decode: [], window: options.windowSize },
    ...(options.windowSize !== "suffix" && { minRows: options.windowSize + 1 }),
    score(context: LayerContext): Scores {
      const { kernels, model, rows } = context;
      const { sums, nRows, nQueries } = context.signal("window");
      const nGroups = model.nHeads / model.nKvHeads;
      const reduced = kernels.groupReduce(sums, model.nHeads, nGroups, options.groupAgg);
      const perHead = Array.from(rows.length, (length, head) => {
        const scores = new Float32Array(length);
        const nScored = Math.max(0, length - nQueries);
        const row = head * nRows;
        const before = reduced.slice(row, row + nScored);
        for (let i = 0; i < nScored; i++) before[i] = (before[i] ?? 0) / nQueries;
        // Never pooled across the window's edge: those rows' attention is to themselves.
        if (nScored > 0) scores.set(kernels.pool(before, 1, options.kernelSize, options.pooling));
        return scores;
      });
      return { perHead, nSink: 0, nRecent: nQueries };
    },
  };
}

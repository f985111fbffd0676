import type { LayerContext, Scores, Selector } from "../method.ts";
import { reserve } from "./reserve.ts";

export interface NormSuffixOptions {
  /** Share of the norm that may be missing. */
  readonly threshold: number;
  readonly nFirst: number;
  /** Newest rows that stay in any case. */
  readonly minRecent: number;
  /** `layer`: the longest of the heads' suffixes for all. */
  readonly lengths: "layer" | "head";
}

/** What was kept of how much, so far. */
export interface Realised {
  nKept: number;
  nRows: number;
}

/**
 * The first rows and the newest, just as many as hold the norm of the attention; a budget caps them.
 * Its `context.state` is a `Realised`.
 */
export function normSuffix({ threshold, nFirst, minRecent, lengths }: NormSuffixOptions): Selector {
  return {
    select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[] {
      const { kernels, forced, rows } = context;
      const counts = scores.perHead.map((weights) =>
        kernels.normPrefix(weights, nFirst, threshold),
      );
      const longest = Math.max(0, ...counts);
      const perHead = Array.from(rows.length, (length, head) => {
        const count = lengths === "layer" ? longest : (counts[head] ?? length);
        const shape = {
          nSink: Math.min(nFirst, count),
          nRecent: Math.max(minRecent, count - nFirst),
        };
        return reserve(forced[head] ?? new Uint32Array(0), shape, length, budget[head] ?? length);
      });
      const realised = context.state as Realised;
      for (const [head, kept] of perHead.entries()) {
        realised.nKept += kept.length;
        realised.nRows += rows.length[head] ?? 0;
      }
      return perHead;
    },
  };
}

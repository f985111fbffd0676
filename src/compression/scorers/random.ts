import type { LayerContext, Scorer, Scores } from "../method.ts";
import { integer } from "../parameters.ts";

export const randomParameters = {
  /** The same seed gives the same rows, in every runtime. */
  seed: integer({ default: 0, min: 0, max: 0xffffffff }),
  /** First rows that always stay. */
  nSink: integer({ default: 0, min: 0 }),
  /** Newest rows that always stay. */
  nRecent: integer({ default: 0, min: 0 }),
};

/** Chance: one list for all heads of a layer, another for each layer. */
export function randomScorer(options: {
  readonly seed: number;
  readonly nSink: number;
  readonly nRecent: number;
}): Scorer {
  const { seed, nSink, nRecent } = options;
  return {
    needs: { prefill: [], decode: [] },
    minRows: nSink + Math.max(1, nRecent),
    score: ({ kernels, rows, layer }: LayerContext): Scores => ({
      perHead: [kernels.randomScores(Math.max(0, ...rows.length), seed, layer)],
      nSink,
      nRecent,
    }),
  };
}

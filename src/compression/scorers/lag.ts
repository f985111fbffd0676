import { defineScorer } from "../define-scorer.ts";
import type { LayerContext, Scores } from "../method.ts";
import { flag, integer } from "../parameters.ts";

/**
 * How much a row's key and value stand out in the ranges of the rows that follow. Sinks, the last
 * whole partition and what follows it are not scored: they stay.
 */
export const lagScorer = defineScorer({
  parameters: {
    /** First rows that always stay. */
    nSink: integer({ default: 4, min: 0 }),
    /** Rows of a partition. */
    lagSize: integer({ default: 128, min: 1 }),
    /** Compares rows of different partitions by their scores, not by their ranks. */
    crossScoring: flag(false),
  },
  create: ({ nSink, lagSize, crossScoring }) => ({
    needs: { prefill: ["keys", "values"], decode: ["keys", "values"] },
    minRows: nSink + 1,
    score(context: LayerContext): Scores {
      const { kernels, rows } = context;
      const values = context.signal("values");
      const shape = { nSink, lagSize, by: crossScoring ? "score" : "rank" } as const;
      const perHead = context
        .signal("keys")
        .map((keys, head) =>
          kernels.stats.lag(keys, values[head] ?? keys, rows.length[head] ?? 0, shape),
        );
      const needed = nSink + 2 * lagSize;
      const isShort = rows.length.some((length) => length < needed);
      return {
        perHead: perHead.map(({ scores }) => scores),
        nSink,
        // What is behind the shortest tail scores highest by itself.
        nRecent: Math.min(...perHead.map(({ nTail }) => nTail)),
        notes: isShort ? [`Fewer than ${needed} rows: the newest stay (nSink + 2 lagSize)`] : [],
      };
    },
  }),
});

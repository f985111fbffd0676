import type { LayerContext, Scorer, Scores } from "../method.ts";

export interface AccumulatedOptions {
  /** Share of the budget that the newest rows have, 0 to 1. */
  readonly recentShare: number;
  /** Divided by the number of queries that could see the row. */
  readonly isPerQuery: boolean;
  readonly groupAgg: "mean" | "max" | "sum";
}

/** What rows had at the last run, per kv head. */
interface History {
  readonly positions: readonly Uint32Array[];
  readonly sums: readonly Float32Array[];
}

/** By layer; the memory of a sequence. */
export type Histories = Map<number, History>;

const ALL_QUERIES = 0xffffffff;

/**
 * All the attention that each row received since it exists: column sums of the prompt, to which every
 * run in decode adds those of the steps since. Rows are known by their positions; what was evicted is
 * forgotten. Its `context.state` is a `Histories`.
 */
export function accumulatedScorer(options: AccumulatedOptions): Scorer {
  return {
    needs: { prefill: ["colSum"], decode: ["colSum"] },
    score(context: LayerContext): Scores {
      const { kernels, model, rows, budget, layer } = context;
      const histories = context.state as Histories;
      const { sums, nRows } = context.signal("colSum");
      const nGroups = model.nHeads / model.nKvHeads;
      const reduced = kernels.groupReduce(sums, model.nHeads, nGroups, options.groupAgg);
      const past = histories.get(layer);
      const total = rows.positions.map((positions, head) => {
        const begin = head * nRows;
        const recent = reduced.slice(begin, begin + positions.length);
        const [before, earlier] = [past?.positions[head], past?.sums[head]];
        return before && earlier ? kernels.carry(before, earlier, positions, recent) : recent;
      });
      const positions = rows.positions.map((ofHead) => ofHead.slice());
      histories.set(layer, { positions, sums: total });
      const nRecent = Math.floor(Math.max(0, ...budget) * options.recentShare);
      if (!options.isPerQuery) return { perHead: total, nSink: 0, nRecent };
      const perHead = total.map((ofHead, head) => {
        const seen = positions[head] ?? new Uint32Array(0);
        return kernels.perQuery(ofHead, seen, (seen.at(-1) ?? 0) + 1, ALL_QUERIES);
      });
      return { perHead, nSink: 0, nRecent };
    },
  };
}

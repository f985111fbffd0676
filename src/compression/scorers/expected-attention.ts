import { defineScorer } from "../define-scorer.ts";
import type { LayerContext, Scores, Signals } from "../method.ts";
import { flag, integer, real } from "../parameters.ts";

const parameters = {
  /** Positions ahead that queries are expected at. */
  nFuture: integer({ default: 512, min: 1, max: 1_048_576 }),
  /** First rows: they always stay, and neither they nor their queries count. */
  nSink: integer({ default: 4, min: 0 }),
  /** Counts how queries vary, not only their mean. */
  useCovariance: flag(true),
  /** Multiplies by the norm of the row's value. */
  useValueNorm: flag(true),
  /** Added before that: how much a value counts whatever attention it draws. */
  epsilon: real({ default: 0, min: 0 }),
};

/** The attention that queries to come are expected to pay to a row, times the norm of its value. */
export const expectedAttentionScorer = defineScorer({
  parameters,
  create: ({ nSink, nFuture, useCovariance, useValueNorm, epsilon }) => {
    const signals = ["queryStats", "keys", ...(useValueNorm ? (["values"] as const) : [])] as const;
    return {
      needs: { prefill: signals, decode: signals, nSink },
      minRows: nSink + 1,
      score(context: LayerContext): Scores {
        const { kernels, rows } = context;
        const values = useValueNorm ? context.signal("values") : [];
        const stats = context.signal("queryStats");
        const perHead = context.signal("keys").map((allKeys, head) => {
          const length = rows.length[head] ?? 0;
          const scores = new Float32Array(length);
          const nScored = Math.max(0, length - nSink);
          if (nScored === 0) return scores;
          const afterSinks = (cells: Float32Array) =>
            cells.subarray((cells.length / length) * nSink);
          const queries = { ...ofHead(context, stats, head, useCovariance), nFuture };
          const keys = afterSinks(allKeys);
          let found = kernels.stats.expectedAttention(keys, nScored, queries);
          const ofValues = values[head];
          if (ofValues !== undefined) {
            const norms = kernels.stats.rowNorms(afterSinks(ofValues), nScored);
            found = kernels.stats.weigh(found, norms, epsilon);
          }
          scores.set(found, nSink);
          return scores;
        });
        return { perHead, nSink, nRecent: 0 };
      },
    };
  },
});

/** The statistics of a kv head's query heads, and how they will be rotated. */
function ofHead(
  { model, layer, rows }: LayerContext,
  { mean, covariance }: Signals["queryStats"],
  head: number,
  useCovariance: boolean,
) {
  const nGroups = model.nHeads / model.nKvHeads;
  const part = (cells: Float32Array, size: number) =>
    cells.subarray(head * nGroups * size, (head + 1) * nGroups * size);
  return {
    mean: part(mean, model.headDim),
    covariance: useCovariance ? part(covariance, model.headDim ** 2) : null,
    rope: model.layers[layer]?.rope ?? { base: 10_000 },
    ropeStyle: model.ropeStyle,
    firstPosition: (rows.positions[head]?.at(-1) ?? -1) + 1,
    scale: model.attentionScale,
  };
}

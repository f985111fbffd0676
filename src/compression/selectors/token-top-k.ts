import type { LayerContext, Scores, Selector } from "../method.ts";

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

/** `forced` with sinks and newest rows added while fewer than `budget`; ascending. */
function reserve(
  forced: Uint32Array,
  { nSink, nRecent }: Scores,
  nRows: number,
  budget: number,
): Uint32Array {
  const rows = new Set(forced);
  for (let row = 0; row < Math.min(nSink, nRows) && rows.size < budget; row++) rows.add(row);
  for (let i = 1; i <= Math.min(nRecent, nRows) && rows.size < budget; i++) rows.add(nRows - i);
  return Uint32Array.from(rows).sort();
}

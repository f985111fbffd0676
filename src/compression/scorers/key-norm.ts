import { defineScorer } from "../define-scorer.ts";
import type { LayerContext, Scores } from "../method.ts";

/** The shorter a row's key, the better: short keys draw more attention than long ones. */
export const keyNormScorer = defineScorer({
  parameters: {},
  create: () => ({
    needs: { prefill: ["keys"], decode: ["keys"] },
    score(context: LayerContext): Scores {
      const { kernels, model, rows } = context;
      const perHead = context
        .signal("keys")
        .map((keys, head) =>
          kernels.stats.rowNorms(keys, rows.length[head] ?? 0).map((norm) => -norm),
        );
      return { perHead, nSink: 0, nRecent: 0, notes: notesOnKeys(model.hasQkNorm) };
    },
  }),
});

/** What to know about scores from keys alone. */
export function notesOnKeys(hasQkNorm: boolean): readonly string[] {
  return hasQkNorm ? ["This model normalises its keys: scores from keys alone tell little"] : [];
}

import { defineScorer } from "../define-scorer.ts";
import type { LayerContext, Scores } from "../method.ts";
import { notesOnKeys } from "./key-norm.ts";

/** The less a row's key points where the keys of its head do on average, the better. */
export const keyDiffScorer = defineScorer({
  parameters: {},
  create: () => ({
    needs: { prefill: ["keys"], decode: ["keys"] },
    score(context: LayerContext): Scores {
      const { kernels, model, rows } = context;
      const perHead = context
        .signal("keys")
        .map((keys, head) => kernels.stats.keyDiff(keys, rows.length[head] ?? 0));
      return { perHead, nSink: 0, nRecent: 0, notes: notesOnKeys(model.hasQkNorm) };
    },
  }),
});

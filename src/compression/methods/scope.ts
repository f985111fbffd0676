// scope: the prompt compressed once as snapkv does and then frozen, the answer in a window of its own:
// its newest rows and those that the current query attends to.
//
// Source: Wu et al. 2024, arXiv:2412.13649; code Linking-ai/SCOPE, 8cbae48 (strategy "slide"; an
// interval above 1 is its "discontinuous" without the growing window).
// Deviation: chosen per kv head, after reduction over the query heads of a group.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { keepGenerated } from "../generated.ts";
import type { LayerContext, Mutation } from "../method.ts";
import { integer } from "../parameters.ts";
import { windowParameters, windowScorer } from "../scorers/window.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const scope = defineMethod({
  id: "scope",
  keeps: "the prompt as snapkv does, the answer in a window of its own",
  paper: "arXiv:2412.13649",
  parameters: {
    ...windowParameters,
    /** Generated rows that stay, the recent ones included. */
    decodeRows: integer({ default: 512, min: 1 }),
    /** Newest of them that need no score. */
    decodeRecent: integer({ default: 256, min: 1 }),
    /** Decode steps between two evictions. */
    interval: integer({ default: 1, min: 1 }),
  },
  create: (options) => {
    const { decodeRows, decodeRecent, interval } = options;
    const inner = windowScorer(options);
    const parts = compose({
      scorer: { ...inner, needs: { ...inner.needs, decode: ["lastRow"] } },
      selector: tokenTopK,
      schedule: { everySteps: interval },
      capabilities: { freezesPrompt: true },
    });
    const onDecodeStep = (context: LayerContext): readonly Mutation[] => {
      const { kernels, model, rows } = context;
      if ((context.sequence.nGenerated ?? 0) <= decodeRows) return [];
      const { sums, nRows } = context.signal("lastRow");
      const nGroups = model.nHeads / model.nKvHeads;
      const reduced = kernels.groupReduce(sums, model.nHeads, nGroups, options.groupAgg);
      const perHead = Array.from(rows.length, (length, head) =>
        reduced.slice(head * nRows, head * nRows + length),
      );
      return keepGenerated(context, perHead, decodeRows, decodeRecent);
    };
    return { ...parts, onDecodeStep };
  },
});

// dbudgetkv: the first rows and as many of the newest as hold the norm of the last query's attention.
// It takes no budget; one that is given is a cap.
//
// Source: Ni et al. 2025, arXiv:2502.16886 v3 (ReFreeKV; no public code). The equation is used, not the
// pseudo-code, which contradicts it.
// Deviation: a group's query heads are averaged first; all heads of a layer get the longest length
// (`lengths: "head"`: each its own); the newest rows stay however little they hold.
import { compose, type ComposedState } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import type { LayerContext, Scorer, Scores } from "../method.ts";
import { integer, oneOf, real } from "../parameters.ts";
import { normSuffix, type Realised } from "../selectors/norm-suffix.ts";

export const dbudgetkv = defineMethod({
  id: "dbudgetkv",
  keeps: "first and newest rows, as many as hold the last query's attention norm",
  paper: "arXiv:2502.16886",
  parameters: {
    /** Share of the norm that may be missing. */
    threshold: real({ default: 0.01, min: 0, max: 1 }),
    /** First rows, which come before all others. */
    nFirst: integer({ default: 4, min: 0 }),
    /** Newest rows that stay in any case. */
    minRecent: integer({ default: 16, min: 1 }),
    /** Last queries whose attention is averaged. */
    nQueries: integer({ default: 1, min: 1 }),
    /** First layers, from which nothing is dropped. */
    nSkipped: integer({ default: 2, min: 0 }),
    lengths: oneOf(["layer", "head"], "layer"),
  },
  create: (options) => {
    const parts = compose({
      scorer: lastQueries(options.nQueries),
      selector: normSuffix(options),
      skips: (layer) => layer < options.nSkipped,
      remember: (): Realised => ({ nKept: 0, nRows: 0 }),
      capabilities: {
        raggedHeads: options.lengths === "head",
        sharedAcrossHeads: options.lengths === "layer",
        budget: "optional",
      },
    });
    return {
      ...parts,
      report: ({ notes, memory }: ComposedState) => ({ notes: [...notes, ...told(memory)] }),
    };
  },
});

function told(memory: ComposedState["memory"]): string[] {
  const { nKept, nRows } = memory as Realised;
  if (nRows === 0) return [];
  const share = ((100 * nKept) / nRows).toFixed(1);
  return [`the norm asks for ${nKept} of ${nRows} rows (${share} %) in the layers that evict`];
}

/** Mean over the last queries that can see a row. */
function lastQueries(window: number): Scorer {
  return {
    needs: { prefill: ["window"], decode: [], window },
    score(context: LayerContext): Scores {
      const { kernels, model, rows } = context;
      const { sums, nRows, nQueries } = context.signal("window");
      const nGroups = model.nHeads / model.nKvHeads;
      const reduced = kernels.groupReduce(sums, model.nHeads, nGroups, "mean");
      const perHead = rows.positions.map((positions, head) => {
        const weights = reduced.slice(head * nRows, head * nRows + positions.length);
        return kernels.perQuery(weights, positions, (positions.at(-1) ?? 0) + 1, nQueries);
      });
      return { perHead, nSink: 0, nRecent: 0 };
    },
  };
}

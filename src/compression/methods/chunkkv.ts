// chunkkv: runs of neighbouring rows that stay or go together, the same for all heads of a layer, and
// for groups of layers if asked.
//
// Source: Liu et al. 2025, arXiv:2502.00299 (no public code by the authors has the index reuse).
// Deviation: scored by attention weights (the paper writes the product of queries and keys); the budget
// includes the window and is spent exactly (`floor`: whole chunks only). `fill: "kvpress"` is
// ChunkKVPress: chunks over the whole prompt by their means, those with forced rows first.
import { compose } from "../compose.ts";
import { defineWrapper } from "../define-wrapper.ts";
import type { ModelMeta } from "../method.ts";
import { integer, oneOf } from "../parameters.ts";
import { chunks } from "../selectors/chunks.ts";

export const chunkkv = defineWrapper({
  id: "chunkkv",
  keeps: "chunks of neighbouring rows, whole, by another method's scores",
  paper: "arXiv:2502.00299",
  parameters: {
    /** Rows of a chunk; the last may be shorter. */
    chunkSize: integer({ default: 10, min: 1 }),
    fill: oneOf(["exact", "floor", "kvpress"], "exact"),
    /** A chunk's score from its rows'. */
    aggregation: oneOf(["sum", "mean"], "sum"),
    /** Layers that take over the choice of the first of them; 1: each chooses. */
    reuse: integer({ default: 1, min: 1 }),
  },
  scorer: "snapkv",
  create: (options, scorer) =>
    compose({
      scorer,
      selector: chunks(options),
      capabilities: { raggedHeads: false, sharedAcrossHeads: true },
      ...(options.reuse > 1 && {
        layerMap: { keepOf: (layer: number) => layer - (layer % options.reuse) },
        validate: (model: ModelMeta) => refuseSliding(model),
      }),
    }),
});

/** A layer that drops nothing has no choice to take over. */
function refuseSliding(model: ModelMeta): { readonly what: string }[] {
  const isSliding = model.layers.some(({ window }) => window > 0);
  return isSliding ? [{ what: "reuse must be 1 where layers have sliding windows" }] : [];
}

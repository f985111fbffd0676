// chunked: another method's best rows in each chunk of the prompt, scored as if the chunk were all.
//
// Source: kvpress (ChunkPress), after Corallo & Papotti 2024, FINCH.
// Deviation: over scorers of keys and values only; what rounding leaves over goes to the largest
// fractions, so that the budget is met exactly (kvpress rounds each chunk down).
import { compose } from "../compose.ts";
import { defineWrapper } from "../define-wrapper.ts";
import { integer } from "../parameters.ts";
import { chunkedScorer } from "../scorers/chunked.ts";
import { chunkedTopK } from "../selectors/chunked-top-k.ts";

export const chunked = defineWrapper({
  id: "chunked",
  keeps: "another method's best rows in each chunk of the prompt",
  paper: "kvpress (ChunkPress)",
  parameters: {
    /** Rows of a chunk; the last may be shorter. */
    chunkLength: integer({ default: 1024, min: 1 }),
  },
  scorer: "keydiff",
  scorers: ["keydiff", "knorm", "lagkv"],
  create: ({ chunkLength }, scorer) =>
    compose({
      scorer: chunkedScorer(scorer, chunkLength),
      selector: chunkedTopK(chunkLength),
    }),
});

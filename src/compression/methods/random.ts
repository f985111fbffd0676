// random: rows by chance, the same for all heads of a layer. A control: what any score must beat.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { randomParameters, randomScorer } from "../scorers/random.ts";
import { tokenTopK } from "../selectors/token-top-k.ts";

export const random = defineMethod({
  id: "random",
  keeps: "rows by chance: a control",
  parameters: randomParameters,
  create: (options) =>
    compose({
      scorer: randomScorer(options),
      selector: tokenTopK,
      capabilities: { raggedHeads: false, sharedAcrossHeads: true },
    }),
});

// random-shot: whole examples by chance, the same in all layers. A control: what choosing shots by
// attention must beat, at the same budget and with the same rows forced.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { integer } from "../parameters.ts";
import { randomScorer } from "../scorers/random.ts";
import { shots } from "../selectors/shots.ts";
import { shotParameters } from "../shot-parameters.ts";

export const randomShot = defineMethod({
  id: "random-shot",
  keeps: "whole examples by chance: a control",
  parameters: {
    ...shotParameters,
    /** The same seed gives the same shots, in every runtime. */
    seed: integer({ default: 0, min: 0, max: 0xffffffff }),
    /** Newest rows that count as the question where none is marked. */
    nRecent: integer({ default: 32, min: 0 }),
  },
  create: (options) => {
    const { seed, nRecent } = options;
    return compose({
      scorer: randomScorer({ seed, nSink: 0, nRecent }),
      selector: shots(options, ({ kernels }, _, bounds) =>
        kernels.randomScores(bounds.length / 2, seed, 0),
      ),
      minRows: 1,
      capabilities: { raggedHeads: false, sharedAcrossHeads: true },
    });
  },
});

// What shotkv and its control by chance have in common.
import { flag, integer, oneOf } from "./parameters.ts";

export const shotParameters = {
  /** When the next shot does not fit: `skip` takes the next that does, `stop` none more. */
  fill: oneOf(["skip", "stop"], "skip"),
  /** First rows that always stay. */
  nSink: integer({ default: 4, min: 0 }),
  /** The question stays; where none is marked, the newest rows that score the shots. */
  forcesQuestion: flag(true),
  forcesSystem: flag(true),
};

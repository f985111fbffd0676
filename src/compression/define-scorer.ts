// How a scorer is declared, so that methods can stand on it and name it.
import type { Scorer } from "./method.ts";
import type { ParameterSet, Values } from "./parameters.ts";

/** A named family of scorers: give it parameters and it is one. */
export interface ScorerDefinition<Set extends ParameterSet = ParameterSet> {
  readonly parameters: Set;
  create(values: Values<Set>): Scorer;
}

/** For the type's sake: `create` takes what `parameters` declares. */
export function defineScorer<const Set extends ParameterSet>(
  definition: ScorerDefinition<Set>,
): ScorerDefinition<Set> {
  return definition;
}

// Scorers by the name of the method that they are known by: what methods over any scorer look up.
import type { ScorerDefinition } from "../define-scorer.ts";
import type { Scorer } from "../method.ts";
import { oneOf, type Parameter, readParameters } from "../parameters.ts";
import { expectedAttentionScorer } from "./expected-attention.ts";
import { keyDiffScorer } from "./key-diff.ts";
import { keyNormScorer } from "./key-norm.ts";
import { lagScorer } from "./lag.ts";
import { windowParameters, windowScorer } from "./window.ts";

const scorers = {
  "expected-attention": expectedAttentionScorer,
  keydiff: keyDiffScorer,
  knorm: keyNormScorer,
  lagkv: lagScorer,
  snapkv: { parameters: windowParameters, create: windowScorer },
};

export type ScorerName = keyof typeof scorers;

const names = Object.keys(scorers) as readonly ScorerName[];

/** A parameter that names a scorer. */
export function scorerName(
  byDefault: ScorerName,
  among: readonly ScorerName[] = names,
): Parameter<ScorerName> {
  return oneOf(among, byDefault);
}

export function scorerDefinition(name: ScorerName): ScorerDefinition {
  return scorers[name] as unknown as ScorerDefinition;
}

/**
 * The scorer of that name, defaults filled in.
 * @throws {KvasirError} `bad-option` for a parameter that it does not have or out of range.
 */
export function scorerByName(
  name: ScorerName,
  parameters: Readonly<Record<string, unknown>> = {},
): Scorer {
  const definition = scorerDefinition(name);
  return definition.create(readParameters(name, definition.parameters, parameters));
}

// How a method over any scorer is declared: its own parameters, `scorer`, and the scorer's side by
// side. A name that both have is the method's.
import {
  aboutOf,
  defineMethod,
  type MethodAbout,
  type MethodDefinition,
  type MethodParts,
} from "./define-method.ts";
import type { MethodState, Scorer } from "./method.ts";
import { type ParameterSet, readParameters, type Values } from "./parameters.ts";
import { scorerDefinition, type ScorerName, scorerName } from "./scorers/index.ts";

/**
 * As `defineMethod`, for methods that take their scores from another.
 *
 * @param declaration.scorer The default.
 * @param declaration.scorers Which ones it may be. Default all.
 * @param declaration.create Called with checked values of its own parameters.
 */
export function defineWrapper<Set extends ParameterSet, State = MethodState>(
  declaration: MethodAbout & {
    readonly id: string;
    readonly version?: number;
    readonly parameters: Set;
    readonly scorer: ScorerName;
    readonly scorers?: readonly ScorerName[];
    create(values: Values<Set>, scorer: Scorer): MethodParts<State>;
  },
): MethodDefinition {
  const { id, version = 1 } = declaration;
  const named = { scorer: scorerName(declaration.scorer, declaration.scorers) };
  const own = { ...declaration.parameters, ...named };
  return {
    ...aboutOf(declaration),
    id,
    version,
    parameters: own,
    create(given = {}) {
      const { scorer: name } = readParameters(id, named, only(given, named));
      const inner = scorerDefinition(name);
      // What the method hides of its scorer stays at the scorer's default.
      const shown = Object.fromEntries(
        Object.entries(inner.parameters).filter(([parameter]) => !Object.hasOwn(own, parameter)),
      );
      return defineMethod({
        id,
        version,
        parameters: { ...shown, ...own },
        create: (values) => {
          const ofScorer = readParameters(name, inner.parameters, only(values, shown));
          return declaration.create(values, inner.create(ofScorer));
        },
      }).create(given);
    },
  };
}

function only(
  values: Readonly<Record<string, unknown>>,
  set: ParameterSet,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => Object.hasOwn(set, name)));
}

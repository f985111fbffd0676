// How a method is declared. Apart from registry.ts, which imports every method and thus this.
import { KvasirError } from "../errors.ts";
import type { Method, MethodState } from "./method.ts";
import { type ParameterSet, readParameters, show, type Values } from "./parameters.ts";

/** A method less its name. */
export type MethodParts<State = MethodState> = Omit<Method<State>, "id" | "version" | "parameters">;

/** What lists of methods tell; optional for methods of users. */
export interface MethodAbout {
  /** Which rows stay, in some ten words. */
  readonly keeps?: string;
  /** Where it comes from: an arXiv number, a program. */
  readonly paper?: string;
}

/** A named family of methods: give it parameters and it is one. */
export interface MethodDefinition extends MethodAbout {
  readonly id: string;
  readonly version: number;
  readonly parameters: ParameterSet;
  /** @throws {KvasirError} `bad-option`. */
  create(given?: Readonly<Record<string, unknown>>): Method;
}

/**
 * A method from its declaration: what it is called, which parameters it takes, how it is built.
 *
 * @param declaration.id One lower-case word, hyphens allowed.
 * @param declaration.version Integer, raised when the same inputs may give other rows. Default 1.
 * @param declaration.parameters Declared with `integer`, `real`, `flag`, `oneOf`. Default none.
 * @param declaration.create Called with checked values; see `compose` for the usual body.
 * @throws {KvasirError} `bad-option` for an id that is not a word.
 * @example
 * const newest = defineMethod({
 *   id: "newest",
 *   create: () => compose({ scorer: recency(0), selector: tokenTopK }),
 * });
 */
export function defineMethod<Set extends ParameterSet = Record<never, never>, State = MethodState>(
  declaration: MethodAbout & {
    readonly id: string;
    readonly version?: number;
    readonly parameters?: Set;
    create(values: Values<Set>): MethodParts<State>;
  },
): MethodDefinition {
  const { id, version = 1 } = declaration;
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(id)) {
    throw new KvasirError(
      "bad-option",
      `Cannot define a method: id must be lower-case words joined by hyphens, got ${show(id)}`,
    );
  }
  const declared = declaration.parameters ?? ({} as Set);
  return {
    ...aboutOf(declaration),
    id,
    version,
    parameters: declared,
    create(given = {}) {
      const values = readParameters(id, declared, given);
      const parts = declaration.create(values);
      // The state's type is the method's own matter: it comes from onSequence and goes back to it.
      return { ...(parts as MethodParts), id, version, parameters: values };
    },
  };
}

/** The facts of a declaration that only people read. */
export function aboutOf({ keeps, paper }: MethodAbout): MethodAbout {
  return { ...(keeps !== undefined && { keeps }), ...(paper !== undefined && { paper }) };
}

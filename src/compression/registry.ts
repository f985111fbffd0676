// Name -> method. The files of methods/ are found by scripts/make-method-index.mjs, so that adding a
// method edits no list by hand; methods of users come as definitions.
import { KvasirError } from "../errors.ts";
import type { MethodDefinition } from "./define-method.ts";
import type { Method } from "./method.ts";
import { methodNames } from "./method-names.ts";
import { methods } from "./methods/index.ts";
import { show } from "./parameters.ts";

export { methodNames };

/** As in `SessionOptions.method`, or a definition of the caller's own. */
export type MethodSpec =
  string | { readonly name: string; readonly [parameter: string]: unknown } | MethodDefinition;

/**
 * The method that `spec` names, with `parameters` over those in `spec`.
 * @throws {KvasirError} `not-found` for an unknown name, `bad-option` for its parameters.
 */
export function createMethod(
  spec: MethodSpec,
  parameters: Readonly<Record<string, unknown>> = {},
): Method {
  if (typeof spec !== "string" && isDefinition(spec)) return spec.create(parameters);
  const { name, ...own } = typeof spec === "string" ? { name: spec } : spec;
  const definition = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (definition === undefined) {
    const known = methodNames().join(", ");
    throw new KvasirError(
      "not-found",
      `Cannot create a method: no such name (known: ${known}), got ${show(name)}`,
    );
  }
  return definition.create({ ...own, ...parameters });
}

function isDefinition(spec: Exclude<MethodSpec, string>): spec is MethodDefinition {
  return "create" in spec && typeof spec.create === "function";
}

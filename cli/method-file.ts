// A method from --method: a name that the library knows, or a module of the user's own.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { MethodDefinition } from "../src/compression/define-method.ts";
import { createMethod, type MethodSpec } from "../src/compression/registry.ts";
import { KvasirError } from "../src/errors.ts";
import { parseMethod } from "./options.ts";

/** A path of a module, and what follows it. */
const MODULE = /^(.+\.(?:mjs|js|ts))(:.*)?$/;

/**
 * `snapkv:windowSize=16`, or `./mine.mjs:KEY=VALUE,...`: the default or `method` export of the file.
 *
 * @throws {UsageError} Parameters that do not read KEY=VALUE.
 * @throws {KvasirError} `not-found` for a name or a file, `bad-option` for parameters or an export that
 *   is not a method.
 */
export async function loadMethod(text: string): Promise<MethodSpec> {
  const [, path, rest = ""] = MODULE.exec(text) ?? [];
  const spec =
    path === undefined ? parseMethod(text) : withParameters(await importMethod(path), rest);
  createMethod(spec);
  return spec;
}

async function importMethod(path: string): Promise<MethodDefinition> {
  let module: { readonly default?: unknown; readonly method?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as typeof module;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot load --method ${path}: ${why}`, { cause });
  }
  const method = module.method ?? module.default;
  if (isDefinition(method)) return method;
  throw new KvasirError(
    "bad-option",
    `Cannot load --method ${path}: it must export a method as default or "method", ` +
      `got ${Object.keys(module).join(", ") || "no export"}`,
  );
}

function withParameters(definition: MethodDefinition, rest: string): MethodDefinition {
  if (rest === "") return definition;
  const parsed = parseMethod(`${definition.id}${rest}`);
  if (typeof parsed === "string") return definition;
  const { name: _name, ...own } = parsed;
  return { ...definition, create: (given = {}) => definition.create({ ...own, ...given }) };
}

/** A method of the user's own, as opposed to a name. */
export function isDefinition(value: unknown): value is MethodDefinition {
  const isObject = typeof value === "object" && value !== null;
  return isObject && "create" in value && typeof value.create === "function" && "id" in value;
}

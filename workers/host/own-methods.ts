// Methods of users in a worker: functions cannot be sent, so modules are named and opened here.
import type { MethodDefinition } from "../../src/compression/define-method.ts";
import { KvasirError } from "../../src/errors.ts";
import type { SessionOptions } from "../../src/types.ts";

export type OwnMethods = ReadonlyMap<string, MethodDefinition>;

/**
 * The methods that the modules export, by id.
 * @throws {KvasirError} `not-found` for a module that cannot be opened, `bad-option` for one that
 *   exports no method.
 */
export async function openMethods(modules: readonly string[]): Promise<OwnMethods> {
  const methods = new Map<string, MethodDefinition>();
  for (const url of modules) {
    const found = Object.values(await open(url)).filter(isDefinition);
    if (found.length === 0) {
      throw new KvasirError("bad-option", `Cannot use the methods of "${url}": it exports none`);
    }
    for (const definition of found) methods.set(definition.id, definition);
  }
  return methods;
}

/** The options, with the definition where a method of one's own is named. */
export function withOwnMethod(options: SessionOptions, methods: OwnMethods): SessionOptions {
  const { method } = options;
  if (method === undefined) return options;
  const { name, ...parameters } =
    typeof method === "string" ? { name: method } : (method as { readonly name: string });
  const definition = methods.get(name);
  if (definition === undefined) return options;
  return {
    ...options,
    method: { ...definition, create: (given) => definition.create({ ...parameters, ...given }) },
  };
}

async function open(url: string): Promise<object> {
  try {
    return (await import(/* @vite-ignore */ url)) as object;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot open the module "${url}": ${why}`, { cause });
  }
}

function isDefinition(value: unknown): value is MethodDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<MethodDefinition>).id === "string" &&
    typeof (value as Partial<MethodDefinition>).create === "function"
  );
}

import { parseArgs } from "node:util";
import type { Budget } from "../src/types.ts";
import { parseBytes } from "./format.ts";

/** A mistake in what was typed; the program prints it and leaves with code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

interface Described {
  readonly help: string;
  readonly short?: string;
}

export type OptionSpec =
  | (Described & { readonly type: "flag" })
  | (Described & { readonly type: "text"; readonly value: string; readonly multiple?: boolean })
  | (Described & {
      readonly type: "number" | "integer";
      readonly value: string;
      readonly min?: number;
      readonly max?: number;
      /** The minimum itself is out of range. */
      readonly isAboveMin?: boolean;
    })
  | (Described & { readonly type: "bytes"; readonly value: string })
  | (Described & { readonly type: "choice"; readonly choices: readonly string[] });

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type OptionValue<S extends OptionSpec> = S extends { type: "flag" }
  ? boolean
  : S extends { type: "text"; multiple: true }
    ? readonly string[]
    : S extends { type: "text" }
      ? string | undefined
      : S extends { type: "choice"; choices: readonly (infer C)[] }
        ? C | undefined
        : number | undefined;

export type OptionValues<S extends OptionSpecs> = { readonly [K in keyof S]: OptionValue<S[K]> };

/**
 * Reads `args` by `specs`; no positional arguments are taken.
 *
 * @throws {UsageError} Unknown option (with the nearest known one), missing or bad value.
 */
export function parseOptions<const S extends OptionSpecs>(
  specs: S,
  args: readonly string[],
): OptionValues<S> {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        {
          type: spec.type === "flag" ? ("boolean" as const) : ("string" as const),
          ...(spec.short === undefined ? {} : { short: spec.short }),
        },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) {
    values[name] = isMultiple(spec) ? [] : spec.type === "flag" ? false : undefined;
  }
  for (const token of tokens) {
    if (token.kind === "positional") throw new UsageError(`Unexpected argument "${token.value}"`);
    if (token.kind !== "option") continue;
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
    if (spec === undefined) throw unknownOption(token.rawName, Object.keys(specs));
    const value = parseValue(token.rawName, spec, token.value);
    const list = values[token.name];
    if (Array.isArray(list)) list.push(value);
    else values[token.name] = value;
  }
  return values as OptionValues<S>;
}

function isMultiple(spec: OptionSpec): boolean {
  return spec.type === "text" && spec.multiple === true;
}

function unknownOption(typed: string, names: readonly string[]): UsageError {
  const nearest = suggest(typed.replace(/^-+/, ""), names);
  const hint = nearest === undefined ? "" : `; did you mean --${nearest}?`;
  return new UsageError(`Unknown option ${typed}${hint}`);
}

function parseValue(option: string, spec: OptionSpec, text: string | undefined): unknown {
  if (spec.type === "flag") {
    if (text !== undefined) throw new UsageError(`${option} takes no value, got "${text}"`);
    return true;
  }
  if (text === undefined) throw new UsageError(`${option} needs a value`);
  switch (spec.type) {
    case "text":
      return text;
    case "choice":
      if (spec.choices.includes(text)) return text;
      throw new UsageError(`${option} must be one of ${spec.choices.join(", ")}, got "${text}"`);
    case "bytes": {
      const bytes = parseBytes(text);
      if (bytes !== undefined) return bytes;
      throw new UsageError(`${option} must be a size such as 64MB or 10MiB, got "${text}"`);
    }
    default:
      return parseNumber(option, spec, text);
  }
}

type NumberSpec = Extract<OptionSpec, { type: "number" | "integer" }>;

function parseNumber(option: string, spec: NumberSpec, text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  const { min = -Infinity, max = Infinity, isAboveMin = false } = spec;
  const isKind = spec.type === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (isKind && value <= max && (isAboveMin ? value > min : value >= min)) return value;
  throw new UsageError(`${option} must be ${rangeText(spec)}, got "${text}"`);
}

function rangeText({ type, min, max, isAboveMin }: NumberSpec): string {
  const bounds: string[] = [];
  if (min !== undefined) bounds.push(`${isAboveMin === true ? "above" : "of at least"} ${min}`);
  if (max !== undefined) bounds.push(`at most ${max}`);
  const kind = type === "integer" ? "a whole number" : "a number";
  return [kind, bounds.join(" and ")].filter((part) => part !== "").join(" ");
}

/** The one of `names` that is most like `typed`, when it is like enough to be a slip. */
export function suggest(typed: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: name.startsWith(typed) ? 1 : editDistance(typed, name) }))
    .sort((a, b) => a.distance - b.distance)[0];
  if (ranked === undefined || typed === "") return undefined;
  return ranked.distance <= Math.max(1, Math.floor(typed.length / 3)) ? ranked.name : undefined;
}

/** Edits of one character, an exchange of two neighbours counted as one. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let best = Math.min(at(i - 1, j - 1) + (isSame ? 0 : 1), at(i - 1, j) + 1, at(i, j - 1) + 1);
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isExchange) best = Math.min(best, at(i - 2, j - 2) + 1);
      row.push(best);
    }
  }
  return at(a.length, b.length);
}

/** The text of `--help`: synopsis, options in two columns, examples. */
export function usageText(
  synopsis: string,
  about: string,
  specs: OptionSpecs,
  examples: readonly string[],
): string {
  const rows = Object.entries(specs).map(([name, spec]) => [optionLabel(name, spec), spec.help]);
  rows.push(["    --help", "Print this text"]);
  const width = Math.max(...rows.map(([label]) => label?.length ?? 0));
  const options = rows.map(([label, help]) => `  ${(label ?? "").padEnd(width)}  ${help ?? ""}`);
  const shown = examples.map((example) => `  ${example}`);
  return [
    `Usage: ${synopsis}`,
    "",
    about,
    "",
    "Options:",
    ...options,
    "",
    examples.length > 1 ? "Examples:" : "Example:",
    ...shown,
    "",
  ].join("\n");
}

function optionLabel(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? "   " : `-${spec.short},`;
  if (spec.type === "flag") return `${short} --${name}`;
  return `${short} --${name} ${spec.type === "choice" ? spec.choices.join("|") : spec.value}`;
}

/** A method as typed: `snapkv` or `snapkv:windowSize=16,kernelSize=5`. */
export function parseMethod(text: string): string | { name: string; [parameter: string]: unknown } {
  const colon = text.indexOf(":");
  if (colon < 0) return text;
  const parameters = text
    .slice(colon + 1)
    .split(",")
    .map((pair) => {
      const equals = pair.indexOf("=");
      if (equals < 1) {
        throw new UsageError(`--method must read NAME:KEY=VALUE,..., got "${text}"`);
      }
      return [pair.slice(0, equals), parseParameter(pair.slice(equals + 1))] as const;
    });
  return { ...Object.fromEntries(parameters), name: text.slice(0, colon) };
}

function parseParameter(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : text;
}

/** @throws {UsageError} When more than one of the three is given. */
export function budgetOf(values: {
  readonly keep: number | undefined;
  readonly tokens: number | undefined;
  readonly bytes: number | undefined;
}): Budget | undefined {
  const budgets: Budget[] = [];
  if (values.keep !== undefined) budgets.push({ keep: values.keep });
  if (values.tokens !== undefined) budgets.push({ tokens: values.tokens });
  if (values.bytes !== undefined) budgets.push({ bytes: values.bytes });
  if (budgets.length > 1) throw new UsageError("Give only one of --keep, --tokens and --bytes");
  return budgets[0];
}

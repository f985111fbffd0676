// Declared parameters of methods: a default, a range, and a message that names both.
import { KvasirError } from "../errors.ts";

export interface Parameter<Value> {
  readonly default: Value;
  /** What is allowed, as it reads after "must be". */
  readonly range: string;
  accepts(value: unknown): value is Value;
}

export type ParameterSet = Readonly<Record<string, Parameter<unknown>>>;

/** The values that a set of declarations describes. */
export type Values<Set extends ParameterSet> = {
  readonly [Name in keyof Set]: Set[Name] extends Parameter<infer Value> ? Value : never;
};

interface NumberRange {
  readonly default: number;
  readonly min: number;
  readonly max?: number;
}

export function integer(range: NumberRange & { readonly isOdd?: boolean }): Parameter<number> {
  const kind = range.isOdd === true ? "an odd integer" : "an integer";
  return {
    default: range.default,
    range: describe(kind, range),
    accepts: (value): value is number =>
      Number.isSafeInteger(value) &&
      isWithin(value as number, range) &&
      (range.isOdd !== true || (value as number) % 2 === 1),
  };
}

export function real(range: NumberRange): Parameter<number> {
  return {
    default: range.default,
    range: describe("a number", range),
    accepts: (value): value is number => typeof value === "number" && isWithin(value, range),
  };
}

export function flag(byDefault: boolean): Parameter<boolean> {
  return {
    default: byDefault,
    range: "true or false",
    accepts: (value): value is boolean => typeof value === "boolean",
  };
}

export function oneOf<const Choice extends string>(
  choices: readonly Choice[],
  byDefault: NoInfer<Choice>,
): Parameter<Choice> {
  return {
    default: byDefault,
    range: choices.map((choice) => `"${choice}"`).join(" or "),
    accepts: (value): value is Choice => (choices as readonly unknown[]).includes(value),
  };
}

/**
 * `given` with defaults filled in.
 * @throws {KvasirError} `bad-option` for a value out of range or a name that is not declared.
 */
export function readParameters<Set extends ParameterSet>(
  method: string,
  declared: Set,
  given: Readonly<Record<string, unknown>>,
): Values<Set> {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(declared, name)) {
      const known = Object.keys(declared).join(", ") || "none";
      throw new KvasirError(
        "bad-option",
        `Cannot create method "${method}": no such parameter (known: ${known}), got "${name}"`,
      );
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, parameter] of Object.entries(declared)) {
    const value = given[name] === undefined ? parameter.default : given[name];
    if (!parameter.accepts(value)) {
      throw new KvasirError(
        "bad-option",
        `Cannot create method "${method}": ${name} must be ${parameter.range}, got ${show(value)}`,
      );
    }
    values[name] = value;
  }
  return values as Values<Set>;
}

/** A caller's value in a message. */
export function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

function isWithin(value: number, range: NumberRange): boolean {
  return value >= range.min && value <= (range.max ?? Infinity);
}

function describe(kind: string, { min, max }: NumberRange): string {
  return max === undefined ? `${kind} >= ${min}` : `${kind} from ${min} to ${max}`;
}

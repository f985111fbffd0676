import { KvasirError } from "../errors.ts";
import type { SamplingOptions } from "../types.ts";

export type ResolvedSampling = Required<SamplingOptions>;

interface Range {
  readonly off: number;
  readonly low: number;
  readonly high: number;
  readonly isInteger?: true;
  /** `low` itself is outside. */
  readonly isOpen?: true;
}

const RANGES: { readonly [K in keyof ResolvedSampling]: Range } = {
  temperature: { off: 0, low: 0, high: 100 },
  topK: { off: 0, low: 0, high: 2 ** 32 - 1, isInteger: true },
  topP: { off: 1, low: 0, high: 1 },
  minP: { off: 0, low: 0, high: 1 },
  repetitionPenalty: { off: 1, low: 0, high: 100, isOpen: true },
  frequencyPenalty: { off: 0, low: -2, high: 2 },
  presencePenalty: { off: 0, low: -2, high: 2 },
  seed: { off: 0, low: 0, high: Number.MAX_SAFE_INTEGER, isInteger: true },
};

/**
 * Fills in what is off: temperature, topK, minP and the last two penalties at 0, topP and
 * repetitionPenalty at 1.
 *
 * @throws {KvasirError} `bad-option` naming the option, its range and the value.
 */
export function resolveSampling(options: SamplingOptions): ResolvedSampling {
  const names = Object.keys(RANGES) as (keyof ResolvedSampling)[];
  const entries = names.map((name) => [name, checked(name, options[name] ?? RANGES[name].off)]);
  return Object.fromEntries(entries) as ResolvedSampling;
}

function checked(name: keyof ResolvedSampling, value: number): number {
  const { low, high, isInteger, isOpen } = RANGES[name];
  const isInside =
    typeof value === "number" &&
    (isOpen ? value > low : value >= low) &&
    value <= high &&
    (!isInteger || Number.isInteger(value));
  if (isInside) return value;
  const kind = isInteger ? "an integer" : "a number";
  const range = isOpen ? `above ${low} and at most ${high}` : `from ${low} to ${high}`;
  throw new KvasirError(
    "bad-option",
    `Cannot sample: ${name} must be ${kind} ${range}, got ${String(value)}`,
  );
}

// Typed getters over a GGUF file's metadata. Absent keys are undefined, wrong types are errors.
import { KvasirError } from "../errors.ts";
import { TextList } from "../text-list.ts";
import type { GgufFile } from "./parse.ts";
import { describeType, type GgufNumberArray, type GgufValue } from "./value.ts";

/** What the getters need of a `GgufFile`. */
export type WithMetadata = Pick<GgufFile, "name" | "metadata">;

/** An error about `key`: "Cannot read GGUF "x": key "k" <what>". */
export function keyError(gguf: WithMetadata, key: string, what: string): KvasirError {
  return new KvasirError("bad-gguf", `Cannot read GGUF "${gguf.name}": key "${key}" ${what}`);
}

/** @throws {KvasirError} `bad-gguf` when `value` is undefined. */
export function required<T>(value: T | undefined, gguf: WithMetadata, key: string): T {
  if (value === undefined) throw keyError(gguf, key, "is missing");
  return value;
}

/** Any finite number; u64 and i64 past 2^53 are refused. */
export function getNumber(gguf: WithMetadata, key: string): number | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined) return undefined;
  if (typeof value !== "number") throw wrongType(gguf, key, "a number", value);
  if (!Number.isFinite(value)) throw keyError(gguf, key, `must be finite, got ${value}`);
  return value;
}

/** An integer from `min` to `max`. */
export function getInteger(
  gguf: WithMetadata,
  key: string,
  min = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = getNumber(gguf, key);
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw keyError(gguf, key, `must be an integer from ${min} to ${max}, got ${value}`);
  }
  return value;
}

export function getString(gguf: WithMetadata, key: string): string | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined || typeof value === "string") return value;
  throw wrongType(gguf, key, "a string", value);
}

export function getBoolean(gguf: WithMetadata, key: string): boolean | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined || typeof value === "boolean") return value;
  throw wrongType(gguf, key, "a boolean", value);
}

/** An empty array of any type counts. */
export function getStringArray(gguf: WithMetadata, key: string): readonly string[] | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined) return undefined;
  if (value instanceof TextList) return [...value];
  if (isEmpty(value)) return [];
  throw wrongType(gguf, key, "an array of strings", value);
}

export function getBooleanArray(gguf: WithMetadata, key: string): readonly boolean[] | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined) return undefined;
  if (isEmpty(value)) return [];
  // One look is enough: a GGUF array has one element type.
  if (Array.isArray(value) && typeof value[0] === "boolean") return value as readonly boolean[];
  throw wrongType(gguf, key, "an array of booleans", value);
}

/** The file's own typed array, not a copy. */
export function getNumberArray(
  gguf: WithMetadata,
  key: string,
): Exclude<GgufNumberArray, BigUint64Array | BigInt64Array> | undefined {
  const value = gguf.metadata.get(key);
  if (value === undefined) return undefined;
  const isBig = value instanceof BigUint64Array || value instanceof BigInt64Array;
  if (ArrayBuffer.isView(value) && !isBig) {
    return value;
  }
  throw wrongType(gguf, key, "an array of numbers", value);
}

function isEmpty(value: GgufValue): boolean {
  return typeof value === "object" && value.length === 0;
}

function wrongType(gguf: WithMetadata, key: string, wanted: string, got: GgufValue): KvasirError {
  return keyError(gguf, key, `must be ${wanted}, got ${describeType(got)}`);
}

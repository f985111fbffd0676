// Plain data, as `structuredClone` copies it, to JSON with byte arrays beside it, and back: what JSON
// cannot say is an object with the key "$".
import { KvasirError } from "../errors.ts";

/** Each begins at a multiple of this many bytes, so that arrays of any type lie aligned. */
const ALIGNMENT = 8;
const MAX_DEPTH = 64;

const arrayTypes = {
  i8: Int8Array,
  u8: Uint8Array,
  u8c: Uint8ClampedArray,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
} as const;
type ArrayName = keyof typeof arrayTypes;

export interface EncodedData {
  /** What `JSON.stringify` takes. */
  readonly json: unknown;
  /** Byte arrays, not copied, and where each is to be written. */
  readonly parts: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  /** Of all parts with the gaps between them. */
  readonly byteLength: number;
}

/**
 * @throws {KvasirError} `unsupported-option` for what is not plain data: functions, class instances,
 *   cycles.
 */
export function encodeData(value: unknown): EncodedData {
  const encoder = new Encoder();
  const json = encoder.encode(value, 0);
  return { json, parts: encoder.parts, byteLength: encoder.byteLength };
}

/**
 * What `encodeData` was given. Arrays of bytes are windows on `bytes`, others are copies.
 * @param bytes The parts, each in its place.
 * @throws {KvasirError} `bad-snapshot`.
 */
export function decodeData(json: unknown, bytes: Uint8Array<ArrayBuffer>): unknown {
  if (Array.isArray(json)) return json.map((item) => decodeData(item, bytes));
  if (typeof json !== "object" || json === null) return json;
  if (!("$" in json)) {
    return Object.fromEntries(Object.entries(json).map(([k, v]) => [k, decodeData(v, bytes)]));
  }
  const { $: tag, v: value, at, n } = json as Record<string, unknown>;
  const items = (): unknown[] =>
    Array.isArray(value) ? (decodeData(value, bytes) as []) : bad(tag);
  switch (tag) {
    case "undefined":
      return undefined;
    case "number":
      return Number(value);
    case "bigint":
      return typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : bad(tag);
    case "set":
      return new Set(items());
    case "map":
      return new Map(items() as [unknown, unknown][]);
    case "object":
      return Object.fromEntries(items() as [string, unknown][]);
    default:
      return decodeArray(tag, at, n, bytes);
  }
}

class Encoder {
  readonly parts: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  byteLength = 0;

  encode(value: unknown, depth: number): unknown {
    if (depth > MAX_DEPTH) throw notPlain("data that is too deep or holds itself");
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $: "number", v: Object.is(value, -0) ? "-0" : String(value) };
      case "bigint":
        return { $: "bigint", v: String(value) };
      case "undefined":
        return { $: "undefined" };
      case "object":
        return value === null ? null : this.#object(value, depth + 1);
      default:
        throw notPlain(`a ${typeof value}`);
    }
  }

  #object(value: object, depth: number): unknown {
    const each = (items: Iterable<unknown>): unknown[] =>
      Array.from(items, (item) => this.encode(item, depth));
    if (Array.isArray(value)) return each(value);
    if (value instanceof Set) return { $: "set", v: each(value) };
    if (value instanceof Map) return { $: "map", v: each(value) };
    if (ArrayBuffer.isView(value)) return this.#bytes(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw notPlain(`an instance of ${value.constructor.name}`);
    }
    const entries = Object.entries(value);
    if ("$" in value) return { $: "object", v: each(entries) };
    return Object.fromEntries(entries.map(([key, item]) => [key, this.encode(item, depth)]));
  }

  #bytes(view: ArrayBufferView): unknown {
    const found = Object.entries(arrayTypes).find(([, type]) => view instanceof type);
    if (found === undefined) throw notPlain("a DataView");
    const at = this.byteLength;
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    this.parts.push({ at, bytes });
    this.byteLength += align(bytes.length);
    return { $: found[0], at, n: bytes.length };
  }
}

/** The next multiple of 8. */
export function align(byteLength: number): number {
  return Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
}

function decodeArray(
  tag: unknown,
  at: unknown,
  n: unknown,
  bytes: Uint8Array<ArrayBuffer>,
): unknown {
  const isCount = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 0;
  if (typeof tag !== "string" || !Object.hasOwn(arrayTypes, tag)) return bad(tag);
  const Type = arrayTypes[tag as ArrayName];
  const isInside = isCount(at) && isCount(n) && at + n <= bytes.byteLength;
  if (!isInside || n % Type.BYTES_PER_ELEMENT !== 0) return bad(tag);
  const part = bytes.subarray(at, at + n);
  return tag === "u8" ? part : new Type(part.slice().buffer);
}

function bad(tag: unknown): never {
  throw new KvasirError(
    "bad-snapshot",
    `Cannot restore the session: its data are not well-formed, got ${String(tag)}`,
  );
}

function notPlain(what: string): KvasirError {
  return new KvasirError(
    "unsupported-option",
    `Cannot save the session: a method's state must be plain data, got ${what}`,
  );
}

// Metadata values of a GGUF file: their types, their limits, and how one is read.
import { KvasirError } from "../errors.ts";
import { TextList } from "../text-list.ts";
import type { HeaderReader } from "./header-reader.ts";

/** Numeric arrays are typed arrays of the file's own type. u64 and i64 past 2^53 stay bigint. */
export type GgufValue = number | bigint | boolean | string | GgufArray;

export type GgufNumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

export type GgufArray = GgufNumberArray | TextList | readonly boolean[] | readonly GgufArray[];

const MAX_STRING_BYTES = 2 ** 24; // the longest known are chat templates, under 2^17
const MAX_ARRAY_LENGTH = 2 ** 24; // the longest known are merges, about 2^19
const MAX_BOOLEANS = 2 ** 16; // 1 byte in the file, 8 in memory; known is one per layer
const MAX_NESTED = 2 ** 16; // arrays in an array
const MAX_DEPTH = 4;

const TYPE = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** [constructor, bytes of one element] by type id; undefined where arrays are not plain numbers. */
const NUMBER_ARRAYS: readonly (
  [new (buffer: ArrayBuffer) => GgufNumberArray, number] | undefined
)[] = [
  [Uint8Array, 1],
  [Int8Array, 1],
  [Uint16Array, 2],
  [Int16Array, 2],
  [Uint32Array, 4],
  [Int32Array, 4],
  [Float32Array, 4],
  undefined,
  undefined,
  undefined,
  [BigUint64Array, 8],
  [BigInt64Array, 8],
  [Float64Array, 8],
];

/** Reads a value that follows its type id; `key` is for messages. */
export async function readTypedValue(reader: HeaderReader, key: string): Promise<GgufValue> {
  const byteOffset = reader.position;
  const type = await reader.readU32(`the type of key "${key}"`);
  if (type === TYPE.array) return readArray(reader, key, 1);
  return readScalar(reader, type, key, byteOffset);
}

async function readScalar(
  reader: HeaderReader,
  type: number,
  key: string,
  typeByteOffset: number,
): Promise<GgufValue> {
  const what = `key "${key}"`;
  if (type === TYPE.string) return reader.readString(what, MAX_STRING_BYTES);
  const byteLength = type === TYPE.bool ? 1 : NUMBER_ARRAYS[type]?.[1];
  if (byteLength === undefined) {
    throw reader.error(typeByteOffset, `key "${key}" has the unknown value type ${type}`);
  }
  const view = await reader.take(byteLength, what);
  switch (type) {
    case TYPE.u8:
      return view.getUint8(0);
    case TYPE.i8:
      return view.getInt8(0);
    case TYPE.u16:
      return view.getUint16(0, true);
    case TYPE.i16:
      return view.getInt16(0, true);
    case TYPE.u32:
      return view.getUint32(0, true);
    case TYPE.i32:
      return view.getInt32(0, true);
    case TYPE.f32:
      return view.getFloat32(0, true);
    case TYPE.f64:
      return view.getFloat64(0, true);
    case TYPE.u64:
      return safeNumber(view.getBigUint64(0, true));
    case TYPE.i64:
      return safeNumber(view.getBigInt64(0, true));
    default:
      return checkedBoolean(reader, view.getUint8(0), key);
  }
}

async function readArray(reader: HeaderReader, key: string, depth: number): Promise<GgufArray> {
  const byteOffset = reader.position;
  const what = `the array of key "${key}"`;
  const type = await reader.readU32(what);
  const length = await reader.readCount(what, minElementBytes(type), maxLength(type));
  const numbers = NUMBER_ARRAYS[type];
  if (numbers) return new numbers[0](await reader.takeBytes(length * numbers[1], what));
  if (type === TYPE.string) return reader.readTexts(length, what, MAX_STRING_BYTES);
  if (type === TYPE.bool) {
    const bytes = new Uint8Array(await reader.takeBytes(length, what));
    return Array.from(bytes, (byte) => checkedBoolean(reader, byte, key));
  }
  if (type !== TYPE.array) {
    throw reader.error(byteOffset, `${what} has the unknown element type ${type}`);
  }
  if (depth === MAX_DEPTH) {
    throw reader.error(byteOffset, `${what} is nested deeper than ${MAX_DEPTH} levels`);
  }
  const arrays: GgufArray[] = [];
  for (let i = 0; i < length; i++) arrays.push(await readArray(reader, key, depth + 1));
  return arrays;
}

/** The fewest bytes of one element in the file: what bounds a count before it is believed. */
function minElementBytes(type: number): number {
  if (type === TYPE.string) return 8; // its length
  if (type === TYPE.array) return 12; // its type and length
  return NUMBER_ARRAYS[type]?.[1] ?? 1;
}

function maxLength(type: number): number {
  if (type === TYPE.bool) return MAX_BOOLEANS;
  if (type === TYPE.array) return MAX_NESTED;
  return MAX_ARRAY_LENGTH;
}

function safeNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function checkedBoolean(reader: HeaderReader, byte: number, key: string): boolean {
  if (byte > 1) throw reader.error(reader.position - 1, `key "${key}" holds a boolean of ${byte}`);
  return byte === 1;
}

/** How a message names the type of a value: "string", "array of 3 strings". */
export function describeType(value: GgufValue): string {
  if (value instanceof TextList) return `array of ${value.length} strings`;
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return typeof value;
  const array = value as GgufNumberArray | readonly boolean[] | readonly GgufArray[];
  if (array instanceof BigUint64Array || array instanceof BigInt64Array) {
    return `array of ${array.length} 64-bit integers`;
  }
  if (ArrayBuffer.isView(array)) return `array of ${array.length} numbers`;
  const first = array[0];
  if (first === undefined) return "empty array";
  return `array of ${array.length} ${typeof first === "object" ? "array" : typeof first}s`;
}

/** A `bad-gguf` error in the house grammar. */
export function badGguf(name: string, what: string): KvasirError {
  return new KvasirError("bad-gguf", `Cannot parse GGUF "${name}": ${what}`);
}

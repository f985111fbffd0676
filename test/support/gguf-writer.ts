// Writes GGUF bytes for tests: v2 and v3, every value type, and what broken files need.
import { TENSOR_TYPES, type TensorTypeName } from "../../src/gguf/tensor-type.ts";

export type ScalarTypeName =
  "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "bool" | "string" | "u64" | "i64" | "f64";

const TYPE_IDS: Readonly<Record<ScalarTypeName | "array", number>> = {
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
};

/** A value whose type in the file is spelled out. */
export interface TypedValue {
  readonly type: ScalarTypeName | "array";
  readonly value: string | number | bigint | boolean | readonly TypedValue[];
  /** Of an array: its elements' type. */
  readonly elementType?: ScalarTypeName | "array";
}

/**
 * Plain values get the type that converters use: non-negative integers u32, negative ones i32,
 * other numbers f32, bigint u64; arrays of integers i32, of other numbers f32.
 */
export type WriterValue =
  | string
  | number
  | bigint
  | boolean
  | readonly string[]
  | readonly number[]
  | readonly boolean[]
  | Int32Array
  | Uint32Array
  | Float32Array
  | Uint8Array
  | Int8Array
  | TypedValue;

export interface WriterTensor {
  readonly name: string;
  /** A number writes any id. */
  readonly type: TensorTypeName | number;
  /** Innermost first. */
  readonly dims: readonly (number | bigint)[];
  /** Zeros of the right length by default. */
  readonly data?: Uint8Array;
  /** From the start of the data section; by default after the tensor before. */
  readonly byteOffset?: number;
}

export interface WriterFile {
  /** Default 3. */
  readonly version?: number;
  /** Entries, when a key must appear twice. */
  readonly metadata?:
    Readonly<Record<string, WriterValue>> | readonly (readonly [string, WriterValue])[];
  readonly tensors?: readonly WriterTensor[];
  /** Default 32; written as general.alignment when it differs. */
  readonly alignment?: number;
}

export function scalar(
  type: ScalarTypeName,
  value: string | number | bigint | boolean,
): TypedValue {
  return { type, value };
}

export function array(
  elementType: ScalarTypeName | "array",
  value: readonly TypedValue[],
): TypedValue {
  return { type: "array", elementType, value };
}

/** The bytes of a GGUF file. */
export function writeGguf(file: WriterFile): Uint8Array {
  const alignment = file.alignment ?? 32;
  const entries = metadataEntries(file.metadata ?? {});
  if (alignment !== 32) entries.push(["general.alignment", alignment]);
  const tensors = file.tensors ?? [];
  const bytes = new Bytes();
  bytes.raw(new TextEncoder().encode("GGUF"));
  bytes.number("u32", file.version ?? 3);
  bytes.number("u64", tensors.length);
  bytes.number("u64", entries.length);
  for (const [key, value] of entries) {
    const typed = toTyped(value);
    bytes.string(key);
    bytes.number("u32", TYPE_IDS[typed.type]);
    bytes.value(typed);
  }
  const placed = place(tensors, alignment);
  for (const { tensor, byteOffset } of placed) {
    bytes.string(tensor.name);
    bytes.number("u32", tensor.dims.length);
    for (const dim of tensor.dims) bytes.number("u64", dim);
    bytes.number(
      "u32",
      typeof tensor.type === "number" ? tensor.type : TENSOR_TYPES[tensor.type].id,
    );
    bytes.number("u64", byteOffset);
  }
  bytes.pad(alignment);
  const dataStart = bytes.length;
  for (const { data, byteOffset } of placed) bytes.rawAt(dataStart + byteOffset, data);
  return bytes.take();
}

/** Bytes that a tensor of these dims takes; 0 for ids that kvasir does not read. */
export function tensorByteLength(
  type: TensorTypeName | number,
  dims: readonly (number | bigint)[],
): number {
  if (typeof type === "number") return 0;
  const { blockSize, blockByteLength } = TENSOR_TYPES[type];
  return (
    Math.floor(dims.reduce<number>((n, dim) => n * Number(dim), 1) / blockSize) * blockByteLength
  );
}

function metadataEntries(metadata: NonNullable<WriterFile["metadata"]>): [string, WriterValue][] {
  if (Array.isArray(metadata))
    return (metadata as readonly (readonly [string, WriterValue])[]).map(([k, v]) => [k, v]);
  return Object.entries(metadata as Readonly<Record<string, WriterValue>>);
}

function place(tensors: readonly WriterTensor[], alignment: number) {
  let next = 0;
  return tensors.map((tensor) => {
    const data = tensor.data ?? new Uint8Array(tensorByteLength(tensor.type, tensor.dims));
    const byteOffset = tensor.byteOffset ?? next;
    next = Math.ceil((byteOffset + data.length) / alignment) * alignment;
    return { tensor, data, byteOffset };
  });
}

function toTyped(value: WriterValue): TypedValue {
  if (typeof value === "string") return scalar("string", value);
  if (typeof value === "boolean") return scalar("bool", value);
  if (typeof value === "bigint") return scalar("u64", value);
  if (typeof value === "number") {
    return scalar(!Number.isInteger(value) ? "f32" : value < 0 ? "i32" : "u32", value);
  }
  if (ArrayBuffer.isView(value)) {
    const names = {
      Int32Array: "i32",
      Uint32Array: "u32",
      Float32Array: "f32",
      Uint8Array: "u8",
      Int8Array: "i8",
    } as const;
    const type = names[value.constructor.name as keyof typeof names];
    return array(
      type,
      Array.from(value, (item) => scalar(type, item)),
    );
  }
  if (!Array.isArray(value)) return value as TypedValue;
  const items = value as readonly (string | number | boolean)[];
  const first = items[0];
  const type =
    typeof first === "string"
      ? "string"
      : typeof first === "boolean"
        ? "bool"
        : items.every((item) => Number.isInteger(item))
          ? "i32"
          : "f32";
  return array(
    type,
    items.map((item) => scalar(type, item)),
  );
}

/** A growing little-endian byte string. */
class Bytes {
  length = 0;
  private bytes = new Uint8Array(1024);
  private view = new DataView(this.bytes.buffer);

  raw(data: Uint8Array): void {
    this.rawAt(this.length, data);
  }

  rawAt(byteOffset: number, data: Uint8Array): void {
    this.reserve(byteOffset + data.length);
    this.bytes.set(data, byteOffset);
    this.length = Math.max(this.length, byteOffset + data.length);
  }

  pad(alignment: number): void {
    const end = Math.ceil(this.length / alignment) * alignment;
    this.reserve(end);
    this.length = end;
  }

  string(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.number("u64", utf8.length);
    this.raw(utf8);
  }

  value(typed: TypedValue): void {
    if (typed.type === "array") {
      const items = typed.value as readonly TypedValue[];
      this.number("u32", TYPE_IDS[typed.elementType ?? "u8"]);
      this.number("u64", items.length);
      for (const item of items) this.value(item);
    } else if (typed.type === "string") {
      this.string(typed.value as string);
    } else {
      this.number(typed.type, typed.value as number | bigint | boolean);
    }
  }

  number(type: Exclude<ScalarTypeName, "string">, value: number | bigint | boolean): void {
    const at = this.length;
    const size = {
      u8: 1,
      i8: 1,
      bool: 1,
      u16: 2,
      i16: 2,
      u32: 4,
      i32: 4,
      f32: 4,
      u64: 8,
      i64: 8,
      f64: 8,
    }[type];
    this.reserve(at + size);
    this.length = at + size;
    const view = this.view;
    const n = Number(value);
    switch (type) {
      case "u8":
      case "bool":
        return view.setUint8(at, n);
      case "i8":
        return view.setInt8(at, n);
      case "u16":
        return view.setUint16(at, n, true);
      case "i16":
        return view.setInt16(at, n, true);
      case "u32":
        return view.setUint32(at, n, true);
      case "i32":
        return view.setInt32(at, n, true);
      case "f32":
        return view.setFloat32(at, n, true);
      case "u64":
        return view.setBigUint64(at, BigInt(value), true);
      case "i64":
        return view.setBigInt64(at, BigInt(value), true);
      case "f64":
        return view.setFloat64(at, n, true);
    }
  }

  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private reserve(byteLength: number): void {
    if (byteLength <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(byteLength, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}

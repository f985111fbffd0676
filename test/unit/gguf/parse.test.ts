import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import { type GgufFile, parseGguf } from "../../../src/gguf/parse.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import { TENSOR_TYPES, type TensorTypeName } from "../../../src/gguf/tensor-type.ts";
import { TextList } from "../../../src/text-list.ts";
import { dequantize } from "../../../src/weights/formats/index.ts";
import { array, scalar, type WriterFile, writeGguf } from "../../support/gguf-writer.ts";
import { goldenPath } from "../../support/golden.ts";

function parse(bytes: Uint8Array): Promise<GgufFile> {
  return parseGguf(new BufferSource(bytes, "test.gguf"));
}

async function errorOf(bytes: Uint8Array): Promise<KvasirError> {
  const error: unknown = await parse(bytes).then(
    () => expect.fail("parsed"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KvasirError);
  return error as KvasirError;
}

/** Overwrites bytes of a copy. */
function patch(bytes: Uint8Array, byteOffset: number, values: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, byteOffset);
  return copy;
}

/** The strings of an array as the parser holds them. */
function texts(value: unknown): string[] {
  expect(value).toBeInstanceOf(TextList);
  return [...(value as TextList)];
}

const HUGE = [255, 255, 255, 255, 255, 255, 255, 127];

describe("parseGguf", () => {
  it.each([2, 3])("reads every scalar type, version %i", async (version) => {
    const file = await parse(
      writeGguf({
        version,
        metadata: {
          u8: scalar("u8", 200),
          i8: scalar("i8", -100),
          u16: scalar("u16", 60000),
          i16: scalar("i16", -30000),
          u32: scalar("u32", 4_000_000_000),
          i32: scalar("i32", -2_000_000_000),
          f32: scalar("f32", 0.1),
          f64: scalar("f64", 0.1),
          u64: scalar("u64", 2n ** 40n),
          i64: scalar("i64", -(2n ** 40n)),
          big: scalar("u64", 2n ** 64n - 1n),
          yes: true,
          no: false,
          text: "Größe 🦙",
          empty: "",
        },
      }),
    );
    expect(file.version).toBe(version);
    expect(Object.fromEntries(file.metadata)).toEqual({
      u8: 200,
      i8: -100,
      u16: 60000,
      i16: -30000,
      u32: 4_000_000_000,
      i32: -2_000_000_000,
      f32: Math.fround(0.1),
      f64: 0.1,
      u64: 2 ** 40,
      i64: -(2 ** 40),
      big: 2n ** 64n - 1n,
      yes: true,
      no: false,
      text: "Größe 🦙",
      empty: "",
    });
  });

  it("reads arrays: numbers as typed arrays, strings, booleans, arrays of arrays", async () => {
    const { metadata } = await parse(
      writeGguf({
        metadata: {
          bytes: new Uint8Array([1, 2]),
          ints: new Int32Array([-1, 5]),
          floats: new Float32Array([0.5, Number.NaN]),
          longs: array("u64", [scalar("u64", 2n ** 60n)]),
          doubles: array("f64", [scalar("f64", 0.1)]),
          texts: ["a", "", "\ufeff", "\ufeffb", "ß"],
          flags: [true, false],
          none: array("string", []),
          nested: array("array", [
            array("u8", [scalar("u8", 7)]),
            array("string", [scalar("string", "x")]),
          ]),
        },
      }),
    );
    expect(metadata.get("bytes")).toEqual(new Uint8Array([1, 2]));
    expect(metadata.get("ints")).toEqual(new Int32Array([-1, 5]));
    expect(metadata.get("floats")).toEqual(new Float32Array([0.5, Number.NaN]));
    expect(metadata.get("longs")).toEqual(new BigUint64Array([2n ** 60n]));
    expect(metadata.get("doubles")).toEqual(new Float64Array([0.1]));
    expect(texts(metadata.get("texts"))).toEqual(["a", "", "\ufeff", "\ufeffb", "ß"]);
    expect(metadata.get("flags")).toEqual([true, false]);
    expect(texts(metadata.get("none"))).toEqual([]);
    const [numbers, words] = metadata.get("nested") as unknown as unknown[];
    expect(numbers).toEqual(new Uint8Array([7]));
    expect(texts(words)).toEqual(["x"]);
  });

  it("reads arrays that span many pieces", async () => {
    const many = Array.from({ length: 30_000 }, (_, i) => `token ${i} ${"x".repeat(i % 40)}`);
    const long = "y".repeat(300_000);
    const scores = Float32Array.from({ length: 100_000 }, (_, i) => -i);
    const { metadata } = await parse(
      writeGguf({ metadata: { texts: many, long, scores, end: 1 } }),
    );
    expect(texts(metadata.get("texts"))).toEqual(many);
    expect(metadata.get("long")).toBe(long);
    expect(metadata.get("scores")).toEqual(scores);
    expect(metadata.get("end")).toBe(1);
  });

  it("gives tensors absolute byte ranges", async () => {
    const data = new Uint8Array(36).map((_, i) => i);
    const bytes = writeGguf({
      alignment: 64,
      tensors: [
        { name: "a", type: "Q4_0", dims: [32, 2], data },
        { name: "b", type: "F32", dims: [3] },
      ],
    });
    const file = await parse(bytes);
    const a = file.tensors.get("a");
    const b = file.tensors.get("b");
    expect(file.alignment).toBe(64);
    expect(file.dataByteOffset % 64).toBe(0);
    expect(a).toMatchObject({
      dims: [32, 2],
      nElements: 64,
      byteLength: 36,
      type: TENSOR_TYPES.Q4_0,
    });
    expect(b).toMatchObject({ dims: [3], nElements: 3, byteLength: 12 });
    expect(a?.byteOffset).toBe(file.dataByteOffset);
    expect(b?.byteOffset).toBe(file.dataByteOffset + 64);
    expect(await a?.source.read(a.byteOffset, a.byteLength)).toEqual(data);
  });

  it("reads a file of a gigabyte by its header alone", async () => {
    const head = writeGguf({ tensors: [], metadata: { "general.name": "big" } });
    let nRead = 0;
    const file = await parseGguf({
      name: "big",
      size: 2 ** 30,
      read: async (byteOffset, byteLength) => {
        nRead += byteLength;
        const bytes = new Uint8Array(byteLength);
        bytes.set(head.subarray(byteOffset, byteOffset + byteLength));
        return bytes;
      },
    });
    expect(file.metadata.get("general.name")).toBe("big");
    expect(nRead).toBe(2 ** 16);
  });

  it("replaces bytes that are no UTF-8 in values", async () => {
    const bytes = writeGguf({ metadata: { key: "abc" } });
    const file = await parse(patch(bytes, bytes.lastIndexOf(97), [0xff]));
    expect(file.metadata.get("key")).toBe("\ufffdbc");
  });

  it("passes the signal on", async () => {
    const reason = new Error("stop");
    await expect(
      parseGguf(new BufferSource(writeGguf({})), AbortSignal.abort(reason)),
    ).rejects.toMatchObject({ code: "aborted", cause: reason });
  });
});

describe("parseGguf refuses", () => {
  const tensor = { name: "t", type: "Q4_0", dims: [32] } as const;
  const one: WriterFile = { metadata: { key: "value" }, tensors: [tensor] };
  const bytes = writeGguf(one);

  it.each<[string, Uint8Array, string]>([
    [
      "an empty file",
      new Uint8Array(0),
      "the file ends inside the magic: 4 bytes are missing, at byte 0",
    ],
    [
      "another magic",
      patch(bytes, 0, [0x67]),
      'it does not begin with "GGUF", got the u32 0x46554767',
    ],
    [
      "a count of tensors past the limit",
      patch(bytes, 8, HUGE),
      "the number of tensors has a count of",
    ],
    [
      "a count of keys past the file",
      patch(bytes, 16, [0, 255]),
      "the number of keys has a count of",
    ],
    ["a key's length past the limit", patch(bytes, 24, HUGE), "key 1 of 1 has a count of"],
    [
      "a string's length past the file",
      patch(bytes, 24 + 8 + 3 + 4, [0, 1]),
      'key "key" has a count of 256',
    ],
    ["an empty key", writeGguf({ metadata: { "": 1 } }), "key 1 of 1 is empty, at byte 24"],
    ["a key that is no UTF-8", patch(bytes, 32, [0xff]), "key 1 of 1 is not UTF-8, at byte 24"],
    [
      "an unknown value type",
      patch(bytes, 35, [13]),
      'key "key" has the unknown value type 13, at byte 35',
    ],
    [
      "the same key twice",
      writeGguf({
        metadata: [
          ["a", 1],
          ["a", 2],
        ],
      }),
      'key "a" appears twice, at byte',
    ],
    [
      "an unknown element type",
      patch(writeGguf({ metadata: { a: new Uint8Array(4) } }), 24 + 9 + 4, [99]),
      'the array of key "a" has the unknown element type 99',
    ],
    [
      "an array past the file",
      patch(writeGguf({ metadata: { a: new Float32Array(4) } }), 24 + 9 + 4 + 4, [255, 1]),
      'the array of key "a" has a count of 511, which takes at least 2044 bytes of the',
    ],
    [
      "deep nesting",
      writeGguf({
        metadata: {
          a: array("array", [
            array("array", [array("array", [array("array", [array("array", [])])])]),
          ]),
        },
      }),
      "nested deeper than 4 levels",
    ],
    [
      "a boolean that is neither 0 nor 1",
      patch(writeGguf({ metadata: { a: true } }), 24 + 9 + 4, [2]),
      'key "a" holds a boolean of 2',
    ],
    [
      "an alignment that is no power of two",
      writeGguf({ metadata: { "general.alignment": 24 } }),
      'key "general.alignment" must be a power of two from 8 to 1048576, got 24',
    ],
    [
      "an alignment of another type",
      writeGguf({ metadata: { "general.alignment": "32" } }),
      'key "general.alignment" must be a power of two from 8 to 1048576, got string',
    ],
    [
      "a tensor without a name",
      writeGguf({ tensors: [{ ...tensor, name: "" }] }),
      "a tensor's name is empty",
    ],
    [
      "a long name",
      writeGguf({ tensors: [{ ...tensor, name: "x".repeat(257) }] }),
      "more than the limit of 256",
    ],
    ["the same tensor twice", writeGguf({ tensors: [tensor, tensor] }), 'tensor "t" appears twice'],
    [
      "no dims",
      writeGguf({ tensors: [{ ...tensor, dims: [] }] }),
      'tensor "t" must have 1 to 4 dims, got 0',
    ],
    [
      "five dims",
      writeGguf({ tensors: [{ ...tensor, dims: [32, 1, 1, 1, 1] }] }),
      "1 to 4 dims, got 5",
    ],
    [
      "a dim of 0",
      writeGguf({ tensors: [{ ...tensor, dims: [32, 0] }] }),
      'tensor "t" has a dim of 0',
    ],
    [
      "dims whose product overflows",
      writeGguf({
        tensors: [{ ...tensor, dims: [2n ** 32n, 2n ** 32n], data: new Uint8Array(18) }],
      }),
      'tensor "t" has 18446744073709551616 elements or more',
    ],
    [
      "rows of no whole blocks",
      writeGguf({ tensors: [{ ...tensor, dims: [33] }] }),
      'tensor "t" of type Q4_0 has 33 elements in a row, not a multiple of 32',
    ],
    [
      "an unaligned tensor",
      writeGguf({ tensors: [{ ...tensor, byteOffset: 8 }] }),
      'tensor "t" begins at data byte 8, not a multiple of 32',
    ],
    [
      "overlapping tensors",
      writeGguf({
        tensors: [
          { ...tensor, dims: [64] },
          { ...tensor, name: "u", byteOffset: 32 },
        ],
      }),
      'tensors "t" and "u" overlap at byte',
    ],
    [
      "data past the end",
      bytes.subarray(0, bytes.length - 1),
      `tensor "t" ends at byte ${bytes.length}, the file has`,
    ],
    // Of the one tensor: 24 bytes of counts, 28 of the key, then name, dims and type.
    [
      "an offset past the end",
      patch(bytes, 24 + 28 + 25, HUGE),
      `tensor "t" begins past the file's end`,
    ],
  ])("%s", async (_, broken, message) => {
    const error = await errorOf(broken);
    expect(error.code).toBe("bad-gguf");
    expect(error.message).toContain('Cannot parse GGUF "test.gguf": ');
    expect(error.message).toContain(message);
  });

  it("every truncation of a small file, saying where", async () => {
    for (let length = 0; length < bytes.length; length++) {
      const error = await errorOf(bytes.subarray(0, length));
      expect(error.code).toBe("bad-gguf");
      expect(error.message).toMatch(/at byte \d+$|ends at byte \d+, the file has \d+ bytes$/);
    }
  });

  it.each<[string, Uint8Array, string]>([
    ["version 1", patch(bytes, 4, [1]), "versions 2 and 3 are read, got version 1"],
    ["version 4", patch(bytes, 4, [4]), "versions 2 and 3 are read, got version 4"],
    ["big-endian files", patch(bytes, 4, [0, 0, 0, 3]), "it is big-endian"],
    [
      "a tensor type of ggml's that it does not read",
      writeGguf({ tensors: [{ name: "t", type: 39, dims: [32] }] }),
      'tensor "t" has the type MXFP4 (39)',
    ],
    [
      "a tensor type that nobody knows",
      writeGguf({ tensors: [{ name: "t", type: 1000, dims: [32] }] }),
      'tensor "t" has the unknown type (1000)',
    ],
  ])("%s as unsupported-model", async (_, broken, message) => {
    const error = await errorOf(broken);
    expect(error.code).toBe("unsupported-model");
    expect(error.message).toContain(message);
  });
});

describe.each(["llama", "qwen2", "qwen3", "gemma3"])("golden toys/toy-%s.gguf", (name) => {
  const path = goldenPath(`toys/toy-${name}.gguf`) ?? "";
  it.skipIf(path === "")("parses and dequantises", async () => {
    const info = JSON.parse(readFileSync(path.replace(/gguf$/, "json"), "utf8")) as {
      tensor_types: Record<TensorTypeName, string[]>;
    };
    const file = await parse(readFileSync(path));
    const named = Object.entries(info.tensor_types);
    expect(file.tensors.size).toBe(named.reduce((sum, [, names]) => sum + names.length, 0));
    for (const [type, names] of named) {
      for (const tensor of names) expect(file.tensors.get(tensor)?.type.name).toBe(type);
    }
    for (const tensor of file.tensors.values()) {
      const blocks = await tensor.source.read(tensor.byteOffset, tensor.byteLength);
      const values = dequantize(tensor.type.name, blocks);
      expect(values).toHaveLength(tensor.nElements);
      expect(values.every(Number.isFinite)).toBe(true);
      expect(values.some((value) => value !== 0)).toBe(true);
    }
  });
});

import { describe, expect, it } from "vitest";
import {
  getBoolean,
  getBooleanArray,
  getInteger,
  getNumber,
  getNumberArray,
  getString,
  getStringArray,
  required,
} from "../../../src/gguf/metadata.ts";
import { TextList } from "../../../src/text-list.ts";
import type { GgufValue } from "../../../src/gguf/value.ts";

const metadata = new Map<string, GgufValue>([
  ["text", "x"],
  ["number", 2.5],
  ["big", 2n ** 60n],
  ["nan", Number.NaN],
  ["yes", true],
  ["texts", TextList.of(["a", "b"])],
  ["flags", [true]],
  ["floats", new Float32Array([1, 2])],
  ["longs", new BigUint64Array(1)],
  ["empty", []],
  ["emptyNumbers", new Uint8Array(0)],
]);
const gguf = { name: "m.gguf", metadata };

describe("metadata getters", () => {
  it("give values of the wanted type", () => {
    expect(getString(gguf, "text")).toBe("x");
    expect(getNumber(gguf, "number")).toBe(2.5);
    expect(getBoolean(gguf, "yes")).toBe(true);
    expect(getStringArray(gguf, "texts")).toEqual(["a", "b"]);
    expect(getBooleanArray(gguf, "flags")).toEqual([true]);
    expect(getNumberArray(gguf, "floats")).toBe(metadata.get("floats"));
    expect(getStringArray(gguf, "empty")).toHaveLength(0);
    expect(getStringArray(gguf, "emptyNumbers")).toHaveLength(0);
  });

  it("give undefined for absent keys", () => {
    for (const get of [
      getString,
      getNumber,
      getInteger,
      getBoolean,
      getStringArray,
      getBooleanArray,
      getNumberArray,
    ]) {
      expect(get(gguf, "absent")).toBeUndefined();
    }
  });

  it.each<[() => unknown, string]>([
    [() => getString(gguf, "number"), 'key "number" must be a string, got number'],
    [() => getNumber(gguf, "text"), 'key "text" must be a number, got string'],
    [() => getNumber(gguf, "big"), 'key "big" must be a number, got bigint'],
    [() => getNumber(gguf, "nan"), 'key "nan" must be finite, got NaN'],
    [() => getInteger(gguf, "number"), 'key "number" must be an integer from 0 to'],
    [
      () => getInteger(gguf, "number", 5, 9),
      'key "number" must be an integer from 5 to 9, got 2.5',
    ],
    [() => getBoolean(gguf, "texts"), 'key "texts" must be a boolean, got array of 2 strings'],
    [
      () => getStringArray(gguf, "floats"),
      'key "floats" must be an array of strings, got array of 2 numbers',
    ],
    [
      () => getBooleanArray(gguf, "texts"),
      'key "texts" must be an array of booleans, got array of 2 strings',
    ],
    [
      () => getNumberArray(gguf, "flags"),
      'key "flags" must be an array of numbers, got array of 1 booleans',
    ],
    [
      () => getNumberArray(gguf, "longs"),
      'key "longs" must be an array of numbers, got array of 1 64-bit integers',
    ],
    [() => required(undefined, gguf, "absent"), 'key "absent" is missing'],
  ])("refuse what has another type, case %#", (get, message) => {
    expect(get).toThrow(expect.objectContaining({ code: "bad-gguf" }));
    expect(get).toThrow(`Cannot read GGUF "m.gguf": ${message}`);
  });
});

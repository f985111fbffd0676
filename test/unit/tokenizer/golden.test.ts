import { beforeAll, describe, expect, test } from "vitest";
import { createTokenizer } from "../../../src/tokenizer/from-gguf.ts";
import type { Tokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { goldenPath, readJson } from "../../support/golden.ts";
import { readMetadata, requireModel } from "../../support/models.ts";

interface GoldenCase {
  readonly text: string;
  readonly ids: number[];
  readonly idsWithSpecial?: number[];
  readonly decoded?: string;
  readonly decodedWithSpecial?: string;
}

const CASES = { smollm2: 149, "gemma3-270m": 151 } as const;

for (const model of ["smollm2", "gemma3-270m"] as const) {
  describe(`${model}: equal to llama.cpp`, () => {
    const { cases } = readJson<{ cases: GoldenCase[] }>(`${model}/tokenizer.json`);
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      tokenizer = createTokenizer(await readMetadata(requireModel(model)));
    });

    test("all cases are there", () => {
      expect(cases.length).toBe(CASES[model]);
    });

    test("encode: ids of every text, special tokens as text", () => {
      const got = cases.map(({ text }) => [text, [...tokenizer.encode(text)]]);
      expect(got).toEqual(cases.map(({ text, ids }) => [text, ids]));
    });

    test("encode: ids of every text, special tokens parsed", () => {
      const got = cases.map(({ text }) => [
        text,
        [...tokenizer.encode(text, { parseSpecial: true })],
      ]);
      expect(got).toEqual(
        cases.map(({ text, ids, idsWithSpecial = ids }) => [text, idsWithSpecial]),
      );
    });

    test("decode: text of every case", () => {
      for (const { text, ids, decoded = text } of cases) {
        expect(tokenizer.decode(ids)).toBe(decoded);
      }
    });

    test("decode: text of every case with special tokens", () => {
      for (const { text, ids, idsWithSpecial = ids, decodedWithSpecial = text } of cases) {
        expect(tokenizer.decode(idsWithSpecial)).toBe(decodedWithSpecial);
      }
    });
  });
}

for (const toy of ["toy-llama", "toy-qwen2", "toy-qwen3", "toy-gemma3"]) {
  const path = goldenPath(`toys/${toy}.gguf`);
  test.skipIf(path === undefined)(`${toy}: text_ids of its text, and back`, async () => {
    const golden = readJson<{ text: string; text_ids: number[] }>(`toys/${toy}.json`);
    const tokenizer = createTokenizer(await readMetadata(path ?? ""));
    expect([...tokenizer.encode(golden.text, { addBos: true })]).toEqual(golden.text_ids);
    expect(tokenizer.decode(golden.text_ids, { keepSpecial: false })).toBe(golden.text);
  });
}

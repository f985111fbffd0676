import { expect, test } from "vitest";
import { TextList } from "../../../src/text-list.ts";
import { TextTable } from "../../../src/tokenizer/text-table.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { randomText } from "../../support/random-text.ts";

const encoder = new TextEncoder();

function find(table: TextTable, text: string): number {
  const bytes = encoder.encode(`<${text}>`);
  return table.find(bytes, 1, bytes.length - 1);
}

test("TextTable: the first of equal texts, -1 for others, as a Map says", () => {
  const rng = new Rng(seedOf("table"));
  const text = (): string => randomText(rng, rng.integer(0, 4)).replace(/\p{Surrogate}/gu, "?");
  for (const n of [0, 1, 7, 8, 9, 5000]) {
    const texts = Array.from({ length: n }, text);
    const first = new Map<string, number>();
    texts.forEach((own, i) => first.has(own) || first.set(own, i));
    const table = new TextTable(TextList.of(texts));
    for (const own of texts) expect(find(table, own)).toBe(first.get(own));
    for (let i = 0; i < 500; i++) {
      const other = text();
      expect(find(table, other), `seed ${rng.seed}`).toBe(first.get(other) ?? -1);
    }
  }
});

test("TextList: gives back the texts, and U+FFFD for bytes that are none", () => {
  const texts = ["", "a", "\ufeff", "ß🦙", ""];
  const list = TextList.of(texts);
  expect([...list]).toEqual(texts);
  expect(list.length).toBe(5);
  expect([list.at(3), list.at(5), list.at(-1)]).toEqual(["ß🦙", undefined, undefined]);
  const broken = new TextList(Uint8Array.of(0, 0x61, 0xff), Uint32Array.of(3), 1);
  expect(broken.at(0)).toBe("a\ufffd");
});

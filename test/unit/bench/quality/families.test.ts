// What the study's Python makes of the same seeds, found by running its generator and CPython 3.11.
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Family, makeItems } from "../../../../bench/quality/families.ts";
import { PythonRandom } from "../../../../bench/quality/python-random.ts";

/** SHA-256 over a JSON line [head, ...shots, question, answer] for each prompt. */
function hash(family: Family, n: number): string {
  const lines = makeItems(family, n).map(({ head, shots, question, answer }) =>
    JSON.stringify([head, ...shots, question, answer]),
  );
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

describe("PythonRandom", () => {
  it("gives the words and integers of random.Random", () => {
    const random = new PythonRandom("ar_wp1_50/test/7");
    const words = Array.from({ length: 4 }, () => random.bits(32));
    expect(words).toEqual([289641756, 4069954519, 4268664184, 3478211473]);
    const integers = Array.from({ length: 5 }, () => random.integer(2, 20));
    expect(integers).toEqual([20, 16, 3, 16, 12]);
  });
});

describe("makeItems", () => {
  it.each([
    ["ar_wp1_50", 60, "627063c893eb2abcebfec94241333b024a8d0ad2e9085a52e51811e135032451"],
    ["ar_wp1_50", 150, "ef2be7de71bf22323c1c9cd63e602267575bac5f3ed49c6052ca74e1f064a600"],
    ["ret_pass", 60, "05c57e79e67fbadae08aa6a7a47a931de1f2244ada9140e4be9e8596db62a64d"],
    ["ret_pass", 200, "b5ae8a9ffeb98445052c3d53d714ae688469a6afe1294615f2a21469176e52dc"],
  ] as const)("makes the study's prompts of %s, %i of them", (family, n, expected) => {
    expect(hash(family, n)).toBe(expected);
  });

  it("begins a longer list with the shorter one", () => {
    expect(makeItems("ret_pass", 5).slice(0, 2)).toEqual(makeItems("ret_pass", 2));
  });

  it("asks the study's first question", () => {
    const [item] = makeItems("ar_wp1_50", 1);
    expect(item?.question).toBe(
      "Q: There are 8 bags with 3 boxes in each bag. How many boxes are there in total?\nA:",
    );
    expect(item?.answer).toBe("24");
    expect(item?.shots).toHaveLength(40);
  });
});

import { describe, expect, it } from "vitest";
import { mergePartials, outliers, tablesOf } from "../../../../bench/quality/merge.ts";
import { variantsOf } from "../../../../bench/quality/methods.ts";
import {
  indicesOf,
  type PartialResults,
  type PromptResult,
  parseSlice,
} from "../../../../bench/quality/partial.ts";

const DATE = "2026-01-02T03:04:05.000Z";

function prompt(index: number, isRight: (label: string) => boolean, nChecked = 0): PromptResult {
  const answers = variantsOf(index).map(({ label, keep }) => ({
    ...{ label, keep, text: "", isRight: isRight(label), keptShare: keep },
  }));
  return { index, nTokens: 100 + index, prefillMs: 1000, answersMs: 2000, nChecked, answers };
}

function partial(
  prompts: readonly PromptResult[],
  changes: Partial<PartialResults> = {},
): PartialResults {
  const model = { file: "m.gguf", byteLength: 1, sha256: "0", quant: "Q4_1" };
  return {
    version: 1,
    family: "ret_pass",
    settings: { model, activations: "q8", codec: "f16" },
    commit: { id: "abc", isDirty: false },
    runtime: "node",
    machine: { slug: "cpu-2-cores", cpu: "cpu", nCores: 2, memoryBytes: 1, system: "linux" },
    prompts,
    ...changes,
  };
}

const all = (): boolean => true;
const onlyFull = (label: string): boolean => label === "full";

describe("mergePartials", () => {
  it("puts slices together in the order of the prompts", () => {
    const parts = [partial([prompt(1, all)]), partial([prompt(2, onlyFull), prompt(0, onlyFull)])];
    const { families, machine } = mergePartials(parts, DATE);
    expect(machine.slug).toBe("cpu-2-cores");
    expect(
      families.map(({ family, nPrompts, meanTokens }) => [family, nPrompts, meanTokens]),
    ).toEqual([["ret_pass", 3, 101]]);
    const row = families[0]?.rows.find(({ label, keep }) => label === "shotkv" && keep === 0.2);
    expect(row).toMatchObject({ n: 3, right: "010", study: 0.97 });
    expect(row?.keptShare).toBeCloseTo(0.2, 12);
    expect(row?.mean).toBeCloseTo(1 / 3, 12);
    expect(row?.standardError).toBeCloseTo(Math.sqrt(2 / 27), 12);
  });

  it("counts a prompt once, the checked one first", () => {
    const parts = [partial([prompt(0, all)]), partial([prompt(0, onlyFull, 22)])];
    const [family] = mergePartials(parts, DATE).families;
    expect(family).toMatchObject({ nPrompts: 1, nChecked: 22 });
  });

  it("refuses parts of different settings, and nothing", () => {
    const other = partial([prompt(1, all)]);
    const settings = { ...other.settings, activations: "f32" };
    expect(() => mergePartials([partial([prompt(0, all)]), { ...other, settings }], DATE)).toThrow(
      /settings differ/,
    );
    expect(() => mergePartials([], DATE)).toThrow(/no partial results/);
  });

  it("refuses a prompt without an answer of each method", () => {
    const { answers, ...rest } = prompt(0, all);
    const parts = [partial([{ ...rest, answers: answers.slice(1) }])];
    expect(() => mergePartials(parts, DATE)).toThrow(/prompt 0 of ret_pass has no full/);
  });
});

describe("tablesOf", () => {
  const prompts = Array.from({ length: 60 }, (_, i) => prompt(i, all));
  const record = mergePartials([partial(prompts)], DATE);

  it("has a table for each family that was run, and the options", () => {
    expect(Object.keys(tablesOf(record))).toEqual(["answers-options", "answers-ret_pass"]);
  });

  it("names the cells that are too far from the study", () => {
    const [family] = record.families;
    const found = family === undefined ? [] : outliers(family);
    expect(found.some(({ label, keep }) => label === "h2o" && keep === 0.1)).toBe(true);
    expect(found.some(({ label }) => label === "full")).toBe(false);
    expect(tablesOf(record)["answers-ret_pass"]).toContain("h2o at 0.1 (+");
  });

  it("shows our accuracy with its error, and the study's", () => {
    const table = tablesOf(record)["answers-ret_pass"] ?? "";
    const line = table.split("\n").find((one) => one.includes("`shotkv`")) ?? "";
    const cells = line.split("|").map((cell) => cell.trim());
    expect(cells.slice(1, 8)).toEqual([
      "`shotkv`",
      "100 ± 0",
      "100 ± 0",
      "100 ± 0",
      "100",
      "97",
      "0",
    ]);
  });
});

describe("slices", () => {
  it("hold every prompt once", () => {
    const slices = [0, 1, 2].map((index) => indicesOf({ index, count: 3 }, 8));
    expect(slices).toEqual([
      [0, 3, 6],
      [1, 4, 7],
      [2, 5],
    ]);
  });

  it.each(["3/3", "1", "a/b", "-1/2"])("refuse %s", (text) => {
    expect(() => parseSlice(text)).toThrow(/--slice/);
  });
});

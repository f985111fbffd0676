import { describe, expect, it } from "vitest";
import { slugOf } from "../../../bench/machine.ts";
import { readOptions } from "../../../bench/options.ts";
import { wordText } from "../../../bench/text.ts";

describe("readOptions", () => {
  it("runs cases by default, in Node", () => {
    expect(readOptions([])).toMatchObject({ command: "cases", cases: [], runtimes: ["node"] });
    expect(readOptions(["decode", "load"]).cases).toEqual(["decode", "load"]);
  });

  it("compares in Node and in Chromium, with the other runtimes' lengths", () => {
    const { runtimes, decode, prompt, prefills } = readOptions(["peers", "--rounds", "3"]);
    expect(runtimes).toEqual(["node", "chromium"]);
    expect([decode, prompt, prefills[0]]).toEqual([128, 64, 512]);
  });

  it("takes several numbers of threads, and long texts with fewer", () => {
    expect(readOptions([]).threads).toEqual([1]);
    const { threads, longThreads, contexts, rounds } = readOptions(["matrix"]);
    expect([threads, longThreads, rounds]).toEqual([[1, 2], [2], 2]);
    expect(contexts).toEqual([64, 750, 1024, 4096, 7500]);
    expect(readOptions(["matrix", "--long-threads", "none"]).longThreads).toEqual([]);
  });

  it("asks engines for activations that they take", () => {
    expect(readOptions(["--engine", "wasm"]).activations).toBe("q8");
    expect(readOptions(["--engine", "webgpu"]).activations).toBe("f32");
    expect(readOptions(["--engine", "webgpu", "--activations", "q8"]).activations).toBe("q8");
  });

  it.each([
    ["--rounds", "0"],
    ["--threads", "x"],
    ["--contexts", "64,1.5"],
    ["--engine", "cuda"],
    ["--unknown", "1"],
  ])("refuses %s %s", (name, value) => {
    expect(() => readOptions([name, value])).toThrow();
  });

  it("refuses cases after a command", () => {
    expect(() => readOptions(["peers", "decode"])).toThrow('Cannot run "peers" with cases');
  });
});

describe("slugOf", () => {
  it.each([
    ["Intel(R) Xeon(R) Processor @ 2.60GHz", 2, "intel-xeon-2-cores"],
    ["AMD EPYC", 64, "amd-epyc-64-cores"],
    ["", 1, "unknown-1-cores"],
  ])("of %j, %i", (cpu, nCores, slug) => {
    expect(slugOf(cpu, nCores)).toBe(slug);
  });
});

describe("wordText", () => {
  it("is the text that the other runtimes read", () => {
    // Made by the runners' own generator.
    expect(wordText(6, 0)).toBe(" people people team back guy family");
    expect(wordText(6, 99)).toBe(" story war health idea parent research");
  });
});

import { describe, expect, it } from "vitest";
import { contexts } from "../../../bench/cases/contexts.ts";
import { createLanes } from "../../../bench/lanes.ts";
import { matrixParts, matrixReport } from "../../../bench/matrix/report.ts";
import { readPeerLine } from "../../../bench/peers.ts";
import { runLanes } from "../../../bench/runner.ts";
import { done, facts, fakeLane, fakeRecord, FakeRuntime, laneRecord } from "./fakes.ts";

const model = { file: "m.Q4_1.gguf", byteLength: 1, sha256: "00", quant: "Q4_1" };
const short = { nPrefill: 512, nTokens: 64, nDecode: 128 };
const long = { nPrefill: 400, nTokens: 800, nDecode: 8, contexts: [80, 800], budgetTokens: 80 };

const speed = (runtime: string, prefill: number, decode: number): ReturnType<typeof laneRecord> => {
  const isOurs = runtime.startsWith("kvasir");
  const rates = { prefillTokensPerSecond: prefill, decodeTokensPerSecond: decode };
  const slower = { prefillTokensPerSecond: prefill / 2, decodeTokensPerSecond: decode / 2 };
  const own = { runtime, params: short, threads: 2, facts: isOurs ? facts : null };
  return laneRecord(own, isOurs ? [rates, rates] : [rates, slower]);
};

const far = (runtime: string, rates: Record<string, number>): ReturnType<typeof laneRecord> => {
  const isOurs = runtime.startsWith("kvasir");
  const own = { case: "contexts", runtime, params: long, threads: 2 };
  return laneRecord({ ...own, facts: isOurs ? facts : null }, [rates]);
};

const record = fakeRecord({
  what: "matrix",
  model,
  lanes: [
    speed("kvasir, chromium", 300, 120),
    speed("kvasir, deno", 300, 120),
    speed("llama.cpp, native", 200, 96),
    speed("wllama, chromium", 20, 16),
    far("kvasir, chromium", {
      prefillTokensPerSecond: 100,
      decodeAt80: 110,
      decodeAt800: 60,
      decodeCompressed: 88,
    }),
    far("llama.cpp, native", { prefillTokensPerSecond: 50, decodeAt80: 90, decodeAt800: 20 }),
  ],
});

const rowsOf = (text: string): string[][] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1));

describe("matrixReport", () => {
  const rows = rowsOf(matrixReport(record));

  it.each([
    // best over best, median over median: the others' second round took twice as long
    ["prefill 512, kvasir, chromium over llama.cpp, native", "1.50", "2.00", "1.5", "yes"],
    ["decode at 64, kvasir, chromium over llama.cpp, native", "1.25", "1.67", "1.3", "yes"],
    ["prefill 512, kvasir, chromium over wllama, chromium", "15.00", "20.00", "15.0", "yes"],
    ["decode at 64, kvasir, deno over llama.cpp, native", "1.25", "1.67", "", ""],
    ["decode at 800, kvasir, chromium over llama.cpp, native", "3.00", "3.00", "1.5", "yes"],
    ["decode at 80, kvasir, chromium over llama.cpp, native", "1.22", "1.22", "", ""],
    [
      "decode at 800 of 80 rows over decode at 80, kvasir, chromium",
      ...["0.80", "0.80", "0.9", "no"],
    ],
    [
      "decode at 800 of 80 rows, kvasir, chromium over llama.cpp, native of all rows",
      ...["4.40", "4.40", "5.0", "no"],
    ],
  ])("%s", (...cells) => {
    expect(rows).toContainEqual(["2", ...cells]);
  });

  it("wants nothing where no file of that kind was spoken of", () => {
    const other = { ...record, model: { ...model, quant: "F16" } };
    const what = "prefill 512, kvasir, chromium over llama.cpp, native";
    const row = rowsOf(matrixReport(other)).find((cells) => cells[1] === what);
    expect(row).toEqual(["2", what, "1.50", "2.00", "", ""]);
  });

  it("shows the newest record of each file", () => {
    const old = { ...record, commit: { id: "ffffffffff", isDirty: false } };
    const other = { ...record, model: { ...model, file: "n.gguf" } };
    const text = matrixParts([record, old, other])["matrix"] ?? "";
    expect(text).not.toContain("fffffff");
    expect(text.match(/^### .*$/gm)).toEqual(["### m.Q4_1.gguf", "### n.gguf"]);
  });
});

describe("lanes of a matrix", () => {
  const base = { nTokens: 8, nDecode: 1 };
  const fake = {
    ...contexts,
    variants: () => [{ name: "v", params: base }],
    expect: async () => null,
  };
  const settings = { engine: "wasm", activations: "q8", threads: 1, text: null } as const;
  const lanesOn = (
    runtime: FakeRuntime,
    engine: "wasm" | "webgpu",
  ): ReturnType<typeof createLanes> =>
    createLanes({
      cases: [fake],
      runtimes: [runtime],
      caseSettings: {} as Parameters<typeof createLanes>[0]["caseSettings"],
      settings: { ...settings, engine },
      threads: [1, 2],
      nRounds: 1,
    });
  const quiet = { settle: async () => 0, say: () => undefined, rounds: 2 };

  it("asks once for the right answer, with the most threads, and runs with each", async () => {
    const runtime = new FakeRuntime("here", () => done({}));
    const records = await runLanes(lanesOn(runtime, "wasm"), quiet);
    const seen = runtime.tasks.map(({ phase, settings: { threads } }) => `${phase} ${threads}`);
    expect(seen).toEqual(["expect 2", "measure 1", "measure 2"]);
    expect(records.map(({ variant }) => variant)).toEqual(["v, 1 thread", "v, 2 threads"]);
  });

  it("asks the next runtime where one cannot say", async () => {
    const replies = [{ kind: "skipped", reason: "no such kernels" } as const];
    const runtime = new FakeRuntime("here", () => replies.shift() ?? done({}));
    const records = await runLanes(lanesOn(runtime, "wasm"), quiet);
    expect(runtime.tasks.map(({ phase }) => phase)).toEqual(["expect", "expect", "measure"]);
    expect(records.map(({ stopped }) => stopped?.kind)).toEqual(["skipped", undefined]);
  });

  it("takes only the first rounds of a lane that has fewer", async () => {
    let runs = 0;
    const lane = fakeLane("a", () => done({ runs: runs++ }), { nRounds: 2 });
    await runLanes([lane], { ...quiet, rounds: 5 });
    expect(runs).toBe(2);
  });
});

describe("readPeerLine", () => {
  it("gives a rate for each length of one reading", () => {
    const line = JSON.stringify({
      prefillTokensPerSecond: 50,
      decodeTokensPerSecond: 1,
      loadMs: 3,
      contexts: [
        { context: 80, decodeTokensPerSecond: 9 },
        { context: 800, decodeTokensPerSecond: 4 },
      ],
    });
    expect(readPeerLine(`words\n${line}\n`, true)).toMatchObject({
      metrics: { prefillTokensPerSecond: 50, decodeAt80: 9, decodeAt800: 4 },
    });
  });
});

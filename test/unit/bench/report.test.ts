import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mostBusy, readRecords, writeRecord } from "../../../bench/record.ts";
import { casesReport, readmeParts, savedReport, speedReport } from "../../../bench/report.ts";
import { fakeRecord, laneRecord } from "./fakes.ts";

const params = { nPrefill: 512, nTokens: 64, nDecode: 128 };

const speed = (prefill: number, decode: number): Record<string, number> => ({
  prefillTokensPerSecond: prefill,
  decodeTokensPerSecond: decode,
});

const peers = fakeRecord({
  lanes: [
    laneRecord({ params }, [speed(300, 60), speed(200, 40)]),
    laneRecord({ params, runtime: "wllama", facts: null }, [speed(100, 20), speed(50, 10)]),
  ],
});

const rowsOf = (text: string): string[][] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

describe("speedReport", () => {
  it("shows best and median of each runtime", () => {
    expect(rowsOf(speedReport(peers))).toContainEqual([
      "kvasir, node",
      "300",
      "250",
      "60.0",
      "50.0",
      "-",
    ]);
    expect(rowsOf(speedReport(peers))).toContainEqual([
      "wllama",
      "100",
      "75.0",
      "20.0",
      "15.0",
      "-",
    ]);
  });

  it("shows our rates over theirs, round by round", () => {
    expect(rowsOf(speedReport(peers))).toContainEqual([
      "kvasir, node over wllama",
      ...["3.00", "3.50", "4.00", "3.00", "3.50", "4.00"],
    ]);
  });

  it("says when other programs shared the cores", () => {
    expect(speedReport(peers)).not.toContain("Other programs");
    const [lane] = peers.lanes;
    const rounds = lane?.rounds.map((round) => ({ ...round, othersBusyCores: 1.4 })) ?? [];
    const shared = { ...peers, lanes: lane === undefined ? [] : [{ ...lane, rounds }] };
    expect(mostBusy(shared)).toBe(1.4);
    expect(speedReport(shared)).toContain("Other programs held up to 1.4 cores");
  });

  it("names lanes that did not run", () => {
    const stopped = { kind: "failed", reason: "no browser" } as const;
    const lanes = [...peers.lanes, laneRecord({ params, runtime: "deno", stopped }, [])];
    const text = speedReport({ ...peers, lanes });
    expect(text).toContain("- failed: speed, variant, deno: no browser");
    expect(rowsOf(text).flat()).not.toContain("deno");
  });
});

describe("savedReport", () => {
  const metrics = (cacheBytes: number, fullBytes: number): Record<string, number> => ({
    decodeTokensPerSecond: 10,
    cacheBytes,
    fullBytes,
  });
  const lane = { case: "compressed-decode" };
  const saved = fakeRecord({
    what: "saved",
    lanes: [
      laneRecord({ ...lane, params: { nTokens: 4096, nDecode: 32, method: "full" } }, [
        metrics(101e6, 100e6),
      ]),
      laneRecord(
        { ...lane, params: { nTokens: 4096, nDecode: 32, method: "snapkv", budgetTokens: 400 } },
        [metrics(10e6, 100e6)],
      ),
      laneRecord({ ...lane, params: { nTokens: 400, nDecode: 32, method: "full" } }, [
        metrics(11e6, 10e6),
      ]),
      laneRecord(
        {
          case: "quality",
          params: { nTokens: 4096, nDecode: 32 },
          output: [
            { method: "full", actsInDecode: false, agreement: 1, kl: 0, loss: 2 },
            { method: "snapkv", actsInDecode: false, agreement: 0.9, kl: 0.1234, loss: 2.1 },
          ],
        },
        [{}],
      ),
    ],
  });

  it("sets bytes, speed and quality of a method side by side", () => {
    expect(rowsOf(savedReport(saved))).toContainEqual([
      "snapkv",
      "400",
      "4,096",
      "100.0",
      "10.0",
      "90.0 %",
      "10.0",
      "90.0 %",
      "0.123",
    ]);
  });

  it("claims no quality for the cache of another context", () => {
    expect(rowsOf(savedReport(saved)).at(-1)).toEqual([
      "full",
      "-",
      "400",
      "10.0",
      "11.0",
      "-",
      "10.0",
      "-",
      "-",
    ]);
  });
});

describe("casesReport", () => {
  it("makes a table per case with every metric", () => {
    const lanes = [laneRecord({ params, case: "decode" }, [{ rate: 2 }, { rate: 4 }])];
    const text = casesReport(fakeRecord({ what: "cases", lanes }));
    expect(text).toContain("### decode");
    expect(rowsOf(text)).toContainEqual(["variant", "kvasir, node", "4.00 / 3.00"]);
  });
});

describe("records", () => {
  let folder = "";
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "kvasir-record-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("are named by machine, date and content, and never overwritten", () => {
    const paths = [writeRecord(folder, peers), writeRecord(folder, peers)];
    expect(paths.map((path) => basename(path))).toEqual([
      "2026-01-02-peers.json",
      "2026-01-02-peers-2.json",
    ]);
  });

  it("come back newest first, and of one machine where asked", () => {
    writeRecord(folder, peers);
    writeRecord(folder, { ...peers, date: "2026-02-01T00:00:00.000Z" });
    writeRecord(folder, { ...peers, machine: { ...peers.machine, slug: "other" } });
    expect(readRecords(folder).map(({ date }) => date.slice(0, 7))).toEqual([
      "2026-02",
      "2026-01",
      "2026-01",
    ]);
    expect(readRecords(folder, "other")).toHaveLength(1);
    expect(readRecords(join(folder, "none"))).toEqual([]);
  });

  it("become the README's parts, each from its newest", () => {
    const older = { ...peers, lanes: [] };
    expect(readmeParts([peers, older])).toEqual({ speed: speedReport(peers) });
  });

  it("says whether lanes made the same thing", () => {
    const lane = (variant: string, hash: string): ReturnType<typeof laneRecord> =>
      laneRecord({ params, case: "text", variant, output: { hash } }, [{}]);
    const report = (...hashes: string[]): string => {
      const lanes = hashes.map((hash, i) => lane(`engine ${i}`, hash));
      return casesReport(fakeRecord({ what: "text", lanes }));
    };
    expect(report("aa", "aa")).toContain("All 2 are the same.");
    expect(report("aa", "ab")).toContain("They are not the same.");
    expect(rowsOf(report("aa", "ab"))).toContainEqual(["engine 1", "node 20.0.0", "ab"]);
  });

  it("sets our WASM memory beside another runtime's, and the kernels' sizes", () => {
    const lane = { case: "memory", params: { nTokens: 96, nDecode: 3, method: "full" } };
    const lanes = [
      laneRecord({ ...lane, variant: "full, 96 tokens" }, [{ reservedBytes: 150e6 }]),
      laneRecord({ ...lane, runtime: "wllama", facts: null }, [{ reservedBytes: 200e6 }]),
    ];
    const kernels = [{ build: "relaxed", bytes: 123456, gzipBytes: 65432 }];
    const rows = rowsOf(casesReport(fakeRecord({ what: "memory", lanes, kernels })));
    expect(rows).toContainEqual(["full, 96 tokens", "kvasir, node", "wllama, 200.0 MB", "0.75"]);
    expect(rows).toContainEqual(["relaxed", "123,456", "65,432"]);
  });
});

import { describe, expect, it } from "vitest";
import { createReport } from "../../src/session/report-progress.ts";
import type { LoadProgress } from "../../src/types.ts";

type Step = readonly [ms: number, bytes: number, phase?: LoadProgress["phase"]];

/** The rate at each step, bytes a second. */
function rates(...steps: readonly Step[]): number[] {
  const seen: number[] = [];
  let now = 0;
  const report = createReport(
    ({ rate }) => seen.push(rate),
    () => now,
  );
  for (const [ms, bytes, phase = "download"] of steps) {
    now = ms;
    report({ phase, bytes, totalBytes: 1e6 });
  }
  return seen;
}

describe("createReport", () => {
  it("is 0 at the first step, then bytes over time", () => {
    expect(rates([50, 100], [550, 600], [1050, 1600])).toEqual([0, 1000, 1500]);
  });

  it("forgets what is older than 3 seconds", () => {
    const slow = Array.from({ length: 11 }, (_, i) => [i * 1000, i * 100] as const);
    const fast = [11, 12, 13, 14].map((s, i) => [s * 1000, 1000 + (i + 1) * 9000] as const);
    expect(rates(...slow, ...fast).at(-1)).toBe(9000);
  });

  it("begins anew with a phase, and with the next file", () => {
    expect(
      rates([0, 0, "check"], [1000, 500, "check"], [1500, 10, "load"], [2500, 30, "load"]),
    ).toEqual([0, 500, 0, 20]);
    expect(rates([0, 0], [1000, 500], [2000, 100], [3000, 400])).toEqual([0, 500, 0, 300]);
  });

  it("does not divide by no time", () => {
    expect(rates([10, 1], [10, 2], [10, 3])).toEqual([0, 0, 0]);
  });

  it("holds steps of loading back while the download goes on, and ends with the last", () => {
    const seen: string[] = [];
    const report = createReport(({ phase, bytes }) => seen.push(`${phase} ${bytes}`));
    const step = (phase: LoadProgress["phase"], bytes: number) =>
      report({ phase, bytes, totalBytes: 100 });
    step("download", 10);
    step("load", 10);
    step("download", 100);
    step("load", 50);
    step("load", 100);
    step("download", 100);
    expect(seen).toEqual(["download 10", "download 100", "load 50", "load 100"]);
  });

  it("says that all is loaded before the rest of the file has come", () => {
    const seen: string[] = [];
    const report = createReport(({ phase, bytes }) => seen.push(`${phase} ${bytes}`));
    report({ phase: "download", bytes: 90, totalBytes: 100 });
    report({ phase: "load", bytes: 70, totalBytes: 80 });
    report({ phase: "load", bytes: 80, totalBytes: 80 });
    report({ phase: "download", bytes: 100, totalBytes: 100 });
    expect(seen).toEqual(["download 90", "load 80"]);
  });
});

import { describe, expect, test } from "vitest";
import { createProgress, type ProgressStep } from "../../../cli/progress.ts";
import { fakeIo } from "./fakes.ts";

const MIB = 2 ** 20;
const load = (done: number, total: number | undefined = 100 * MIB): ProgressStep => {
  return { phase: "load", done, total, unit: "bytes" };
};

/** A clock that the test moves. */
function fakeClock(): { now: () => number; ms: number } {
  const clock = { ms: 0, now: () => clock.ms };
  return clock;
}

/** What a terminal shows at last: the text after the last carriage return, erasures applied. */
function screen(text: string): string {
  return (text.split("\r").at(-1) ?? "").replace("\x1b[K", "");
}

describe("createProgress on a terminal", () => {
  test("draws in place, with a bar, a share and a rate, within the width", () => {
    const io = fakeIo({ isTty: true, columns: 80 });
    const clock = fakeClock();
    const progress = createProgress(io, clock.now);
    progress.update(load(0));
    clock.ms = 500;
    progress.update(load(50 * MIB));
    expect(io.stderr()).not.toContain("\n");
    expect(screen(io.stderr())).toMatch(/^load +█+░+ +50 % +50\.0 MiB of 100 MiB, 100 MiB\/s$/);
    expect(screen(io.stderr()).length).toBeLessThan(80);
  });

  test.each([10, 24, 40, 60, 200])("stays within %i columns", (columns) => {
    const io = fakeIo({ isTty: true, columns });
    const clock = fakeClock();
    const progress = createProgress(io, clock.now);
    for (let done = 0; done <= 10; done++, clock.ms += 100) progress.update(load(done * 10 * MIB));
    for (const line of io.stderr().split("\r")) {
      expect(line.replace("\x1b[K", "").length).toBeLessThan(columns);
    }
  });

  test("at 80 columns nothing is cut off", () => {
    const io = fakeIo({ isTty: true, columns: 80 });
    const clock = fakeClock();
    const progress = createProgress(io, clock.now);
    progress.update(load(0, 95.4 * MIB));
    clock.ms = 100;
    progress.update(load(38.1 * MIB, 95.4 * MIB));
    expect(screen(io.stderr())).toMatch(/ {2}38\.1 MiB of 95\.4 MiB, 381 MiB\/s$/);
  });

  test("redraws at most every 80 ms, but always the end", () => {
    const io = fakeIo({ isTty: true });
    const clock = fakeClock();
    const progress = createProgress(io, clock.now);
    for (let i = 0; i <= 100; i++, clock.ms++) progress.update(load(i * MIB));
    expect(io.stderr().split("\r").length - 1).toBe(3); // first, after 80 ms, last
    expect(screen(io.stderr())).toContain("100 %");
  });

  test("finish clears the line, once", () => {
    const io = fakeIo({ isTty: true });
    const progress = createProgress(io, fakeClock().now);
    progress.update(load(MIB));
    progress.finish();
    const drawn = io.stderr();
    expect(drawn.endsWith("\r\x1b[K")).toBe(true);
    progress.finish();
    expect(io.stderr()).toBe(drawn);
  });

  test("shows no bar for an unknown size", () => {
    const io = fakeIo({ isTty: true });
    createProgress(io, fakeClock().now).update({ ...load(MIB), total: undefined });
    expect(screen(io.stderr())).toBe("load      1.00 MiB");
  });
});

describe("createProgress elsewhere", () => {
  test("tells every tenth in a line of its own", () => {
    const io = fakeIo();
    const clock = fakeClock();
    const progress = createProgress(io, clock.now);
    for (let i = 0; i <= 1000; i++, clock.ms++) {
      progress.update({ phase: "prefill", done: i, total: 1000, unit: "tokens" });
    }
    const lines = io.stderr().trimEnd().split("\n");
    expect(lines).toHaveLength(10);
    expect(lines[2]).toBe("prefill: 30 %, 300 of 1000 tokens, 1,000 tok/s");
    expect(io.stderr()).not.toContain("\r");
  });

  test("starts again with a new phase and after finish", () => {
    const io = fakeIo();
    const progress = createProgress(io, fakeClock().now);
    progress.update(load(100 * MIB));
    progress.update({ ...load(100 * MIB), phase: "download" });
    progress.finish();
    progress.update({ ...load(100 * MIB), phase: "download" });
    expect(io.stderr().trimEnd().split("\n")).toHaveLength(3);
  });

  test("tells every 64 MiB of an unknown size", () => {
    const io = fakeIo();
    const progress = createProgress(io, fakeClock().now);
    for (let i = 0; i <= 200; i++) progress.update({ ...load(i * MIB), total: undefined });
    expect(io.stderr().trimEnd().split("\n")).toHaveLength(3);
  });
});

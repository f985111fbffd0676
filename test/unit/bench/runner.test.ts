import { describe, expect, it } from "vitest";
import { decode } from "../../../bench/cases/decode.ts";
import { quality } from "../../../bench/cases/quality.ts";
import type { CaseSettings } from "../../../bench/cases/case.ts";
import type { JobSettings, Reply } from "../../../bench/job.ts";
import { createLanes } from "../../../bench/lanes.ts";
import { type Lane, runLanes } from "../../../bench/runner.ts";
import { done, fakeLane, FakeRuntime } from "./fakes.ts";

const quiet = { settle: async () => 0, say: () => undefined };

const caseSettings: CaseSettings = {
  contexts: [8, 16],
  context: 16,
  budget: 4,
  prefills: [8],
  prompt: 4,
  decode: 2,
  methods: ["snapkv"],
  promptMethods: ["snapkv"],
  allMethods: ["full", "snapkv"],
};

const settings: JobSettings = { engine: "wasm", activations: "q8", threads: 1, text: null };

describe("runLanes", () => {
  it("goes through the lanes in turns, every second round backwards", async () => {
    const order: string[] = [];
    const lane = (name: string): Lane =>
      fakeLane(name, () => {
        order.push(name);
        return done({ decodeTokensPerSecond: order.length });
      });
    await runLanes([lane("a"), lane("b")], { ...quiet, rounds: 3 });
    expect(order).toEqual(["a", "b", "b", "a", "a", "b"]);
  });

  it("sums rounds up by what is better", async () => {
    const values = [3, 5, 4];
    const lane = fakeLane("a", () => done({ decodeTokensPerSecond: values.shift() ?? 0 }));
    const [record] = await runLanes([lane], { ...quiet, rounds: 3 });
    expect(record?.summary["decodeTokensPerSecond"]).toEqual({ best: 5, median: 4, nRounds: 3 });
  });

  it("drops all rounds of a lane whose check fails, and says why", async () => {
    let runs = 0;
    const failing = fakeLane("a", () => {
      if (runs++ === 0) return done({ decodeTokensPerSecond: 1 });
      return { kind: "wrong", reason: "wrong tokens" };
    });
    const [record] = await runLanes([failing], { ...quiet, rounds: 3 });
    expect(runs).toBe(2);
    expect(record?.stopped).toEqual({ kind: "wrong", reason: "wrong tokens" });
    expect(record).toMatchObject({ rounds: [], summary: {} });
  });

  it("keeps the earlier rounds of a lane that breaks down", async () => {
    let runs = 0;
    const breaking = fakeLane("a", () => {
      if (runs++ === 0) return done({ decodeTokensPerSecond: 1 });
      return { kind: "failed", reason: "the browser is gone" };
    });
    const [record] = await runLanes([breaking], { ...quiet, rounds: 3 });
    expect(runs).toBe(2);
    expect(record?.rounds).toHaveLength(1);
  });

  it("never times a lane that cannot be prepared", async () => {
    const refused = { kind: "skipped", reason: "no GPU" } as const;
    const lane = fakeLane("a", () => done({}), { prepare: async () => refused });
    const [record] = await runLanes([lane], { ...quiet, rounds: 2 });
    expect(record).toMatchObject({ rounds: [], stopped: refused });
  });

  it("runs what is the same every time once", async () => {
    let runs = 0;
    const lane = fakeLane("a", () => done({ decodeTokensPerSecond: ++runs }), {
      isDeterministic: true,
    });
    await runLanes([lane], { ...quiet, rounds: 4 });
    expect(runs).toBe(1);
  });

  it("keeps what other programs used with each round", async () => {
    const lane = fakeLane("a", () => done({ decodeTokensPerSecond: 1 }));
    const [record] = await runLanes([lane], { ...quiet, settle: async () => 0.7, rounds: 1 });
    expect(record?.rounds[0]?.othersBusyCores).toBe(0.7);
  });
});

describe("createLanes", () => {
  const replyTo = (phase: string): Reply =>
    phase === "expect" ? done({}, [1, 2, 3]) : done({ decodeTokensPerSecond: 1 }, [1, 2, 3]);

  const runtimes = (): [FakeRuntime, FakeRuntime] => [
    new FakeRuntime("a", ({ phase }) => replyTo(phase)),
    new FakeRuntime("b", ({ phase }) => replyTo(phase)),
  ];

  it("makes one lane per variant and runtime", () => {
    const lanes = createLanes({
      cases: [decode, quality],
      runtimes: runtimes(),
      caseSettings,
      settings,
    });
    expect(lanes).toHaveLength(2 * 2 + 2);
  });

  it("asks for the right result once and gives it to every runtime", async () => {
    const [a, b] = runtimes();
    const lanes = createLanes({ cases: [decode], runtimes: [a, b], caseSettings, settings });
    await runLanes(lanes.slice(0, 2), { ...quiet, rounds: 1 });
    expect(a.tasks.map(({ phase }) => phase)).toEqual(["expect", "measure"]);
    expect(b.tasks.map(({ phase, expected }) => ({ phase, expected }))).toEqual([
      { phase: "measure", expected: [1, 2, 3] },
    ]);
  });

  it("asks each runtime where engines differ in their last bits", async () => {
    const [a, b] = runtimes();
    const gpu = { ...settings, engine: "webgpu" } as const;
    const lanes = createLanes({ cases: [decode], runtimes: [a, b], caseSettings, settings: gpu });
    await runLanes(lanes.slice(0, 2), { ...quiet, rounds: 1 });
    expect(b.tasks.map(({ phase }) => phase)).toEqual(["expect", "measure"]);
  });

  it("times nothing when the right result could not be had", async () => {
    const broken = new FakeRuntime("a", () => ({ kind: "failed", reason: "paths differ" }));
    const lanes = createLanes({ cases: [decode], runtimes: [broken], caseSettings, settings });
    const [record] = await runLanes(lanes.slice(0, 1), { ...quiet, rounds: 2 });
    expect(record?.stopped?.reason).toBe("paths differ");
    expect(broken.tasks).toHaveLength(1);
  });
});

import { describe, expect, test } from "vitest";
import { discover } from "../../../src/parity/golden.ts";
import type { CheckResult } from "../../../src/parity/runner.ts";
import { check, fakeHost, goldenFolder, MemoryFolder } from "./fakes.ts";

const failed = (results: readonly CheckResult[]): string[] =>
  results
    .filter(({ status }) => status === "fail")
    .map(({ area, check: name, metric }) => `${area}: ${name}: ${metric}`);

const statuses = (results: readonly CheckResult[], status: string): CheckResult[] =>
  results.filter((result) => result.status === status);

describe("discover", () => {
  test("finds everything by the layout, under any names and at any depth", async () => {
    const folder = goldenFolder();
    folder.put("a/b/forward/x.json", {}).put("a/b/presses/y/presses.json", {}); // no index.json
    folder.put("make/tool.json", {}).put("forward/root.json", {});
    expect(await discover(folder)).toEqual({
      forward: [
        { folder: "a/b", name: "x", path: "a/b/forward/x.json" },
        { folder: "", name: "root", path: "forward/root.json" },
        { folder: "raven", name: "hugin", path: "raven/forward/hugin.json" },
      ],
      internals: ["raven/forward/hugin.internals.json"],
      tokenizers: [{ folder: "raven", path: "raven/tokenizer.json" }],
      templates: ["templates.json"],
      dequant: ["dequant/index.json"],
      presses: [{ folder: "raven", name: "munin", path: "raven/presses/munin" }],
      toys: ["toys/wren.json"],
    });
  });
});

describe("runParity", () => {
  test("a right model passes everything; what cannot be checked is listed", async () => {
    const host = fakeHost();
    const results = await check(goldenFolder(), host);
    expect(failed(results)).toEqual([]);
    expect(new Set(statuses(results, "pass").map(({ area }) => area))).toEqual(
      new Set(["dequant", "tokenizer", "templates", "toys", "forward", "presses"]),
    );
    expect(statuses(results, "not read").map((result) => result.check)).toEqual(["IQ9_Z"]);
    expect(statuses(results, "missing").map((result) => result.check)).toEqual([
      "raven/munin claw",
    ]);
    expect(statuses(results, "not run")).toMatchObject([
      { check: "raven/forward/hugin.internals" },
    ]);
  });

  test("opens each model once a mode and disposes all", async () => {
    const host = fakeHost();
    await check(goldenFolder(), host);
    expect(host.opened).toEqual([
      "/models/raven.gguf f32",
      "bytes f32",
      "bytes q8",
      "/models/raven.gguf q8",
    ]);
    expect(host.nOpen).toBe(0);
  });

  test("asks for the counts that the golden data hold", async () => {
    const host = fakeHost();
    await check(goldenFolder(), host, { only: ["presses"] });
    expect(host.specs).toEqual([
      { method: { name: "full" } },
      { method: { name: "snapkv", windowSize: 1, kernelSize: 1 }, budget: { tokens: 2 } },
    ]);
  });

  test("where all cuts tie, goes on from the golden rows", async () => {
    const folder = goldenFolder();
    const path = "raven/presses/munin/presses.json";
    const presses = (await folder.readJson(path)) as { beak: object };
    const params = { class: "LagKVPress", n_sink: 1, lag_size: 1, cross_scoring: false };
    folder.put(path, { beak: { ...presses.beak, params } });
    const host = { ...fakeHost(), hasMethod: () => true };
    const results = await check(folder, host, { only: ["presses"] });
    const [, chosen, golden] = host.specs;
    expect(chosen).toMatchObject({ method: { name: "lagkv", crossScoring: false } });
    expect(golden?.method).toEqual({ name: "full" });
    expect(golden?.kept).toHaveLength(2);
    const metrics = (name: string) =>
      results.filter(({ check: found }) => found === name).map(({ metric }) => metric);
    expect(metrics("raven/munin beak 0.35")).toEqual([
      "kept positions",
      "kept positions that differ",
    ]);
    expect(metrics("raven/munin beak 0.35 golden rows")).toEqual([
      "step 1 logits NMSE",
      "greedy tokens",
    ]);
  });

  test("--only and the modes choose what runs", async () => {
    const results = await check(goldenFolder(), fakeHost(), {
      only: ["toys", "presses"],
      activations: ["q8"],
    });
    expect(new Set(results.map(({ check: name }) => name))).toEqual(new Set(["wren q8"]));
  });

  test("wrong logits fail forward, toys and presses in f32, small ones pass in q8", async () => {
    const results = await check(goldenFolder(), fakeHost({ logitError: 0.1 }));
    expect(failed(results)).toEqual([
      "forward: raven/hugin f32: last logits NMSE",
      "forward: raven/hugin f32: mean NLL, relative",
      "presses: raven/munin full: step 1 logits NMSE",
      "presses: raven/munin beak 0.35: step 1 logits NMSE",
      "toys: wren f32: all logits NMSE",
    ]);
  });

  test.each([
    [
      { wrongGreedy: true },
      ["toys: wren f32: greedy tokens", "forward: raven/hugin f32: greedy tokens"],
    ],
    [{ kept: [1, 3] }, ["presses: raven/munin beak 0.35: kept positions"]],
    [{ kept: [0] }, ["presses: raven/munin beak 0.35: kept positions"]],
    [{ template: "[bot]" }, ["templates: templates.json: rendered_generation_prompt"]],
    [{ ulpError: true }, ["dequant: F32: max ulp"]],
  ])("%j fails the check that sees it, and no other", async (options, wanted) => {
    const results = await check(goldenFolder(), fakeHost(options));
    expect(failed(results).sort()).toEqual([...wanted].sort());
  });

  test("wrong ids fail the tokenizer and the toys' text", async () => {
    const results = await check(goldenFolder(), fakeHost({ wrongIds: true }));
    expect(failed(results)).toContain("tokenizer: raven: ids");
    expect(failed(results)).toContain("toys: wren f32: text ids");
    const first = results.find(({ metric, area }) => area === "tokenizer" && metric === "ids");
    expect(first).toMatchObject({ measured: "0 of 2", note: '"ab": 98, not 97 98' });
  });

  test("a model that is not there is listed, the rest runs", async () => {
    const results = await check(goldenFolder(), fakeHost(), {
      findModel: () => Promise.resolve(null),
    });
    expect(failed(results)).toEqual([]);
    expect(statuses(results, "no model").map(({ area }) => area)).toEqual([
      ...["tokenizer", "templates", "forward", "presses", "forward"],
    ]);
    expect(statuses(results, "pass").map(({ area }) => area)).toContain("toys");
  });

  test("the caller may say which model a folder needs", async () => {
    const host = fakeHost();
    await check(goldenFolder(), host, {
      only: ["forward"],
      models: new Map([["raven", "other.gguf"]]),
      activations: ["f32"],
    });
    expect(host.opened).toEqual(["/models/other.gguf f32"]);
  });

  test("a folder whose model nothing tells is listed as such", async () => {
    const folder = new MemoryFolder().put("owl/forward/a.json", { ids: [1] });
    const results = await check(folder, fakeHost());
    expect(statuses(results, "no model")).toHaveLength(2);
    expect(results[0]?.note).toContain('nothing tells the model of "owl"');
  });

  test("broken golden data fail one check, the rest runs", async () => {
    const folder = goldenFolder();
    folder.files.delete("raven/forward/hugin.last.f32");
    folder.put("dequant/F32.f32", new Uint8Array(3));
    const results = await check(folder, fakeHost());
    expect(failed(results)).toEqual([
      "dequant: F32: error",
      "forward: raven/hugin f32: error",
      "forward: raven/hugin q8: error",
    ]);
    expect(results.find(({ check: name }) => name === "F32")?.note).toContain("8 bytes, got 3");
  });

  test("golden data that cannot be listed fail their area, the rest runs", async () => {
    const folder = goldenFolder().put("dequant/index.json", "not an object");
    const results = await check(folder, fakeHost());
    expect(failed(results)).toEqual(["dequant: golden data: error"]);
    expect(results.find(({ status }) => status === "fail")?.note).toBe(
      "dequant/index.json is not a JSON object",
    );
    expect(statuses(results, "pass").length).toBeGreaterThan(10);
  });

  test("a model that cannot be opened fails its checks with the message", async () => {
    const host = { ...fakeHost(), open: () => Promise.reject(new Error("no such architecture")) };
    const results = await check(goldenFolder(), host);
    expect(statuses(results, "fail").every(({ note }) => note === "no such architecture")).toBe(
      true,
    );
    expect(statuses(results, "pass").map(({ area }) => area)).toEqual(["dequant"]);
  });

  test("stops when the signal fires", async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(
      check(goldenFolder(), fakeHost(), { signal: controller.signal }),
    ).rejects.toMatchObject({ code: "aborted" });
  });
});

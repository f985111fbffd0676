import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readReply } from "../../../bench/job.ts";
import { readPeerLine } from "../../../bench/peers.ts";
import { nodeRuntime } from "../../../bench/runtimes/process.ts";
import type { Task } from "../../../bench/runtimes/runtime.ts";

const done = '{"kind":"done","metrics":{"rate":2},"output":null,"facts":null}';

describe("readReply", () => {
  it("takes the last line that is a reply, whatever else was printed", () => {
    const reply = readReply(`warning\n{"kind":"failed","reason":"x"}\n${done}\n{ not json\n`);
    expect(reply).toMatchObject({ kind: "done", metrics: { rate: 2 } });
  });

  it("passes refusals and failures on", () => {
    expect(readReply('{"kind":"skipped","reason":"no GPU"}')).toEqual({
      kind: "skipped",
      reason: "no GPU",
    });
  });

  it.each([
    ["nothing", ""],
    ["an unknown kind", '{"kind":"well"}'],
    ["a timing that is no number", '{"kind":"done","metrics":{"rate":null},"output":null}'],
    ["a failure without a reason", '{"kind":"failed"}'],
  ])("fails for %s", (_, printed) => {
    expect(readReply(printed)).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("Cannot read a result") as string,
    });
  });
});

describe("readPeerLine", () => {
  const numbers = '"prefillTokensPerSecond":152,"decodeTokensPerSecond":59,"loadMs":400';

  it("takes rates and load time, and keeps the whole line", () => {
    const reply = readPeerLine(`note\n{"peer":"p","version":"1",${numbers}}\n`);
    expect(reply).toMatchObject({
      kind: "done",
      metrics: { prefillTokensPerSecond: 152, decodeTokensPerSecond: 59, loadMs: 400 },
      output: { peer: "p", version: "1" },
      facts: null,
    });
  });

  it("fails without a line", () => {
    expect(readPeerLine("error\n")).toMatchObject({ kind: "failed" });
  });
});

describe("nodeRuntime", () => {
  let folder = "";
  const task: Task = {
    case: "fake",
    phase: "measure",
    params: { nTokens: 7, nDecode: 1 },
    settings: { engine: "wasm", activations: "q8", threads: 1, text: null },
    expected: [1],
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kvasir-bench-"));
    mkdirSync(join(folder, "package"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const runWorker = (code: string): ReturnType<ReturnType<typeof nodeRuntime>["run"]> => {
    writeFileSync(join(folder, "worker-process.js"), code);
    const files = { folder, model: "model.gguf" };
    return nodeRuntime("node", process.execPath, files).run(task);
  };

  it("hands a fresh process the job and reads its line", async () => {
    const reply = await runWorker(`
      import { readFileSync } from "node:fs";
      const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
      console.log("loading");
      console.log(JSON.stringify({ kind: "done", metrics: { n: job.params.nTokens }, output: job }));
    `);
    expect(reply).toMatchObject({
      kind: "done",
      metrics: { n: 7 },
      output: { case: "fake", phase: "measure", expected: [1], model: "model.gguf" },
    });
  });

  it("fails when the process dies without a word", async () => {
    expect(await runWorker("process.exit(3)")).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("exit status 3") as string,
    });
  });
});

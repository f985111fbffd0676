import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../../cli/options.ts";
import { runCommand } from "../../../cli/run.ts";
import { KvasirError } from "../../../src/errors.ts";
import { type FakeIo, fakeIo, fakeModel, type FakeModel } from "./fakes.ts";

const ASK = ["--model", "m.gguf", "--prompt", "Hi?"];

async function run(fake: FakeModel, args: string[], io: FakeIo = fakeIo()): Promise<FakeIo> {
  expect(await runCommand(fake.load).run(args, io)).toBe(0);
  return io;
}

describe("kvasir run", () => {
  test("streams only the answer to standard output", async () => {
    const fake = fakeModel();
    const io = await run(fake, ASK);
    expect(io.stdout()).toBe("Ravens are black.\n");
    expect(fake.inputs).toEqual([[{ role: "user", content: "Hi?" }]]);
    expect(fake.isDisposed).toBe(true);
  });

  test("tells progress and a summary on standard error", async () => {
    const io = await run(fakeModel(), [...ASK, "--method", "snapkv", "--keep", "0.2"]);
    const text = io.stderr();
    expect(text).toContain("load: 50 %");
    expect(text).toContain("prefill: 100 %, 100 of 100 tokens");
    expect(text).toContain("cache  ######------------------ 6.00 MiB of 24.0 MiB (25 %)\n");
    expect(text).toContain("rows   5,910 of 29,670 kept, peak 7.00 MiB\n");
    expect(text).toContain("speed  first token 1.42 s, prefill 706 tok/s, decode 31.5 tok/s\n");
    expect(text).toContain("run    wasm q8, snapkv, keep 0.2, 989 + 3 tokens, loaded in 610 ms\n");
  });

  test("on a terminal the bar is gone before the answer", async () => {
    const io = await run(fakeModel(), ASK, fakeIo({ isTty: true }));
    expect(io.stderr()).toContain("\r\x1b[K\n");
    expect(io.stderr()).toContain(" · ");
  });

  test("--json prints one object", async () => {
    const io = await run(fakeModel(), [...ASK, "--json", "--method", "snapkv", "--tokens", "197"]);
    expect(JSON.parse(io.stdout())).toEqual({
      text: "Ravens are black.",
      reason: "stop",
      tokens: { prompt: 989, completion: 3 },
      cache: {
        fullBytes: 25165824,
        bytes: 6291456,
        peakBytes: 7340032,
        keptRows: 5910,
        fullRows: 29670,
        perLayer: [{ bytes: 6291456, rows: [197, 197, 197] }],
      },
      timing: {
        loadMs: 610,
        timeToFirstTokenMs: 1420,
        prefillTokensPerSecond: 706.4,
        decodeTokensPerSecond: 31.5,
      },
      engine: "wasm",
      activations: "q8",
      threads: 1,
      method: "snapkv",
      budget: { tokens: 197 },
    });
  });

  test("hands every option to the library", async () => {
    const fake = fakeModel();
    const io = await run(fake, [
      ...ASK,
      ...["--engine", "wasm", "--activations", "f32", "--codec", "f32", "--flow", "usual"],
      ...["--threads", "3"],
      ...["--method", "snapkv:windowSize=16", "--bytes", "64MB", "--max-tokens", "9"],
      ...["--temperature", "0.7", "--top-k", "40", "--top-p", "0.9", "--min-p", "0.05"],
      ...["--repeat-penalty", "1.1", "--seed", "7", "--stop", "\n", "--stop", "Q:"],
    ]);
    expect(fake.loads[0]?.source).toBe("m.gguf");
    expect(fake.loads[0]?.options).toMatchObject({
      engine: "wasm",
      activations: "f32",
      threads: 3,
    });
    expect(fake.sessions).toEqual([
      {
        method: { name: "snapkv", windowSize: 16 },
        budget: { bytes: 64e6 },
        codec: "f32",
        flow: "usual",
      },
    ]);
    expect(fake.generateOptions).toEqual([
      {
        signal: io.signal,
        maxTokens: 9,
        temperature: 0.7,
        topK: 40,
        topP: 0.9,
        minP: 0.05,
        repetitionPenalty: 1.1,
        seed: 7,
        stop: ["\n", "Q:"],
      },
    ]);
  });

  test("--file comes before the question, in the user message", async () => {
    const directory = mkdtempSync(join(tmpdir(), "kvasir-"));
    try {
      const file = join(directory, "text.txt");
      writeFileSync(file, "A long text.\n");
      const fake = fakeModel();
      await run(fake, [...ASK, "--file", file, "--system", "Be brief."]);
      expect(fake.inputs[0]).toEqual([
        { role: "system", content: "Be brief." },
        { role: "user", content: "A long text.\n\nHi?" },
      ]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("--raw, or a model without a template, gives the text as it is", async () => {
    const fake = fakeModel();
    await run(fake, [...ASK, "--raw"]);
    expect(fake.inputs).toEqual(["Hi?"]);
    const plain = fakeModel({ chatTemplate: null });
    const io = await run(plain, ASK);
    expect(plain.inputs).toEqual(["Hi?"]);
    expect(io.stderr()).toContain("note: the model has no chat template");
  });

  test("shows what a stop text held back", async () => {
    const fake = fakeModel({ answers: [["a", "", "b"]] });
    expect((await run(fake, ASK)).stdout()).toBe("ab\n");
  });

  test("refuses a prompt longer than the context, with both numbers", async () => {
    const fake = fakeModel({ contextLength: 9 }); // "[user]Hi?" is 9 characters
    await expect(runCommand(fake.load).run(ASK, fakeIo())).rejects.toMatchObject({
      code: "bad-option",
      message: "Cannot run the prompt: it holds 9 tokens, the model's context is 9",
    });
    expect(fake.isDisposed).toBe(true);
  });

  test("a failure in the answer frees the model and reaches the caller", async () => {
    const failure = new KvasirError("device-lost", "Cannot read: the device went away");
    const fake = fakeModel({ failure });
    await expect(runCommand(fake.load).run(ASK, fakeIo())).rejects.toBe(failure);
    expect(fake.isDisposed).toBe(true);
  });

  test("a missing --file is told", async () => {
    const args = [...ASK, "--file", "/nowhere/at/all.txt"];
    await expect(runCommand(fakeModel().load).run(args, fakeIo())).rejects.toMatchObject({
      code: "not-found",
    });
  });

  test.each([
    ["nokv", "not-found"],
    ["snapkv:windowSize=0", "bad-option"],
  ])("refuses --method %s before loading", async (method, code) => {
    const fake = fakeModel();
    const args = [...ASK, "--method", method, "--keep", "0.5"];
    await expect(runCommand(fake.load).run(args, fakeIo())).rejects.toMatchObject({ code });
    expect(fake.loads).toEqual([]);
  });

  test.each([
    [["--prompt", "x"]],
    [["--model", "m.gguf"]],
    [[...ASK, "--keep", "0.5"]],
    [[...ASK, "--method", "snapkv", "--keep", "0.5", "--tokens", "3"]],
    [[...ASK, "--raw", "--system", "x"]],
    [[...ASK, "--method", "snapkv:x"]],
  ])("refuses %j before loading", async (args) => {
    const fake = fakeModel();
    await expect(runCommand(fake.load).run(args, fakeIo())).rejects.toThrow(UsageError);
    expect(fake.loads).toEqual([]);
  });
});

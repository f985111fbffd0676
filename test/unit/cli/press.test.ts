// `kvasir press`, and `kvasir run --restore` on what it saved.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Load } from "../../../cli/model-options.ts";
import { UsageError } from "../../../cli/options.ts";
import { pressCommand } from "../../../cli/press.ts";
import { runCommand } from "../../../cli/run.ts";
import { load } from "../../../src/load.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { requireGolden } from "../../support/golden.ts";
import { answer } from "../../support/sessions.ts";
import { openToy } from "../../support/toys.ts";
import { fakeIo, fakeModel } from "./fakes.ts";

const folder = mkdtempSync(join(tmpdir(), "kvasir-press-"));
afterAll(() => rmSync(folder, { recursive: true }));

const text = "One lamp burned. Two ships came in. ".repeat(6);
const file = join(folder, "text.txt");
const output = join(folder, "text.kvasir");
writeFileSync(file, text);
const press = ["--model", "m.gguf", "--file", file, "--output", output];
const method = ["--method", "knorm", "--keep", "0.3"];

describe("kvasir press", () => {
  test("reads the file as the user's message and writes what the session saved", async () => {
    const fake = fakeModel();
    const io = fakeIo();
    const args = [...press, ...method, "--system", "Be brief."];
    expect(await pressCommand(fake.load).run(args, io)).toBe(0);
    expect(fake.reads).toEqual([
      [
        { role: "system", content: "Be brief." },
        { role: "user", content: text },
      ],
    ]);
    expect(fake.sessions).toEqual([{ method: "knorm", budget: { keep: 0.3 } }]);
    expect(readFileSync(output, "utf8")).toBe("a saved session");
    expect(io.stdout()).toBe("");
    expect(io.stderr()).toContain("rows   5,910 of 29,670 kept");
    expect(io.stderr()).toContain(`saved  15 B in ${output}\n`);
    expect(fake.isDisposed).toBe(true);
  });

  test("--json prints one object", async () => {
    const io = fakeIo();
    await pressCommand(fakeModel().load).run([...press, ...method, "--raw", "--json"], io);
    expect(JSON.parse(io.stdout())).toEqual({
      output,
      fileBytes: 15,
      tokens: 989,
      cache: {
        fullBytes: 25165824,
        bytes: 6291456,
        peakBytes: 7340032,
        keptRows: 5910,
        fullRows: 29670,
      },
      prefillTokensPerSecond: 706.4,
      method: "knorm",
      budget: { keep: 0.3 },
    });
  });

  test.each([
    [["--model", "m.gguf", "--output", output]],
    [["--model", "m.gguf", "--file", file]],
    [["--file", file, "--output", output]],
    [[...press, "--raw", "--system", "x"]],
    [[...press, "--keep", "0.5"]],
  ])("%j is called wrongly", async (args) => {
    const fake = fakeModel();
    await expect(pressCommand(fake.load).run(args, fakeIo())).rejects.toThrow(UsageError);
    expect(fake.loads).toEqual([]);
  });

  test.each([
    ["--file", ["--file", "/nowhere/at/all.txt", "--output", output]],
    ["--output", ["--file", file, "--output", "/nowhere/at/all.kvasir"]],
  ])("a %s that is not there is told", async (name, args) => {
    const run = pressCommand(fakeModel().load).run(["--model", "m.gguf", ...args], fakeIo());
    await expect(run).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining(name) as unknown,
    });
  });
});

describe("kvasir run --restore", () => {
  const ask = ["--model", "m.gguf", "--restore", output, "--prompt", "Who?"];

  test("asks the saved session", async () => {
    writeFileSync(output, "of before");
    const fake = fakeModel();
    const io = fakeIo();
    expect(await runCommand(fake.load).run(ask, io)).toBe(0);
    expect(fake.restored).toEqual(["of before"]);
    expect(fake.sessions).toEqual([]);
    expect(fake.inputs).toEqual([[{ role: "user", content: "Who?" }]]);
    expect(io.stdout()).toBe("Ravens are black.\n");
  });

  test.each([
    [["--keep", "0.5", "--method", "knorm"]],
    [["--method", "knorm"]],
    [["--codec", "f16"]],
    [["--flow", "usual"]],
    [["--system", "x"]],
  ])("%j is the saved session's", async (more) => {
    const run = runCommand(fakeModel().load).run([...ask, ...more], fakeIo());
    await expect(run).rejects.toThrow(UsageError);
  });

  test("a file that is not there is told", async () => {
    const args = ["--model", "m.gguf", "--restore", "/nowhere", "--prompt", "Who?"];
    await expect(runCommand(fakeModel().load).run(args, fakeIo())).rejects.toMatchObject({
      code: "not-found",
    });
  });
});

test("pressed on one engine and asked on another, the answer is the library's", async () => {
  const open: Load = (source, options) => load(source, { ...options, runtime: nodeRuntime });
  const model = ["--model", requireGolden("toys/toy-llama.gguf"), "--activations", "f32"];
  const paths = ["--file", file, "--output", output];
  await pressCommand(open).run([...model, ...paths, ...method, "--engine", "wasm"], fakeIo());
  const io = fakeIo();
  const ask = ["--restore", output, "--prompt", "Who?", "--max-tokens", "12", "--json"];
  await runCommand(open).run([...model, ...ask, "--engine", "reference"], io);

  const toy = await openToy("toy-llama");
  const session = toy.session({ method: "knorm", budget: { keep: 0.3 } });
  await session.read(text);
  const expected = await answer(session, "Who?", { maxTokens: 12 });
  const told = JSON.parse(io.stdout()) as { text: string; cache: { keptRows: number } };
  expect(told.text).toBe(expected.done.text);
  expect(told.cache.keptRows).toBe(expected.done.usage.cache.keptRows);
  toy.dispose();
});

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UsageError } from "../../../cli/options.ts";
import { parityCommand } from "../../../cli/parity.ts";
import { fakeHost, type FakeParityOptions, goldenFolder } from "../parity/fakes.ts";
import { type FakeIo, fakeIo } from "./fakes.ts";

let directory = "";
let golden = "";
let models = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kvasir-"));
  golden = join(directory, "golden");
  models = join(directory, "models");
  mkdirSync(golden);
  mkdirSync(join(models, "deep"), { recursive: true });
  writeFileSync(join(models, "deep", "raven.gguf"), "GGUF");
  for (const [path, value] of goldenFolder().files) {
    const file = join(golden, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, value instanceof Uint8Array ? value : JSON.stringify(value));
  }
});

afterEach(() => rmSync(directory, { recursive: true }));

async function parity(
  args: string[],
  options: FakeParityOptions = {},
  io: FakeIo = fakeIo(),
): Promise<{ code: number; out: string; host: ReturnType<typeof fakeHost> }> {
  const host = fakeHost(options);
  const command = parityCommand(() => Promise.resolve(host));
  const code = await command.run(["--golden", golden, ...args], io);
  return { code, out: io.stdout(), host };
}

describe("kvasir parity", () => {
  test("all right: a table, and 0", async () => {
    const { code, out, host } = await parity(["--models", models]);
    expect(out).toMatch(/^area +check +metric +measured +tolerance +result\n/);
    expect(out).toMatch(/\nforward +raven\/hugin f32 +last logits NMSE +0 +1e-6 +pass\n/);
    expect(out).toMatch(/\nok: \d+ pass, \d+ info, 1 missing, 1 not read, 1 not run\n$/);
    expect(code).toBe(0);
    expect(host.opened).toContain(`${join(models, "deep", "raven.gguf")} f32`);
  });

  test("--codec f16: models are opened so, names say it, rounding is allowed for", async () => {
    const { out, host } = await parity(["--models", models, "--codec", "f16"]);
    expect(out).toMatch(/\nforward +raven\/hugin f32, f16 rows +last logits NMSE +0 +1e-4 +pass\n/);
    expect(host.opened).toContain(`${join(models, "deep", "raven.gguf")} f32 f16`);
  });

  test("--engine webgpu: f32 only, unless asked for", async () => {
    const { out, code } = await parity(["--models", models, "--engine", "webgpu"]);
    expect(out).not.toMatch(/ q8 /);
    expect(code).toBe(0);
    const asked = await parity(["--models", models, "--engine", "webgpu", "--activations", "q8"]);
    expect(asked.out).toMatch(/ q8 /);
  });

  test.each<[FakeParityOptions]>([
    [{ logitError: 0.1 }],
    [{ wrongGreedy: true }],
    [{ kept: [1, 3] }],
    [{ wrongIds: true }],
    [{ template: "" }],
    [{ ulpError: true }],
  ])("%j: 1", async (options) => {
    const { code, out } = await parity(["--models", models], options);
    expect(code).toBe(1);
    expect(out).toMatch(/\nFAILED: /);
  });

  test("a missing model: 1, unless allowed", async () => {
    const { code, out } = await parity([]);
    expect(code).toBe(1);
    expect(out).toContain("raven.gguf is not there");
    expect((await parity(["--allow-missing"])).code).toBe(0);
  });

  test("nothing checked: 1, also when missing models are allowed", async () => {
    const { code, out } = await parity(["--only", "tokenizer", "--allow-missing"]);
    expect(code).toBe(1);
    expect(out).toContain("FAILED: nothing was checked (1 no model)");
    rmSync(golden, { recursive: true });
    mkdirSync(golden);
    expect((await parity([])).out).toContain("FAILED: nothing was checked\n");
  });

  test("--json: one object with every result", async () => {
    const { code, out } = await parity(["--models", models, "--json"], { kept: [0] });
    const report = JSON.parse(out) as { ok: boolean; counts: { fail: number }; results: object[] };
    expect([code, report.ok, report.counts.fail]).toEqual([1, false, 1]);
    expect(report.results).toContainEqual({
      area: "presses",
      check: "raven/munin beak 0.35",
      metric: "kept positions",
      measured: "4 of 8",
      tolerance: "all",
      status: "fail",
      note: "layer 0, head 0: keeps 1, not 2",
    });
  });

  test("--model FOLDER=FILE, --only and --activations reach the checks", async () => {
    const file = join(models, "deep", "raven.gguf");
    const args = ["--model", `raven/=${file}`, "--only", "forward", "--activations", "f32"];
    const { code, host } = await parity(args);
    expect([code, host.opened]).toEqual([0, [`${file} f32`]]);
  });

  test("follows links to folders", async () => {
    const link = join(directory, "link");
    symlinkSync(golden, link);
    const command = parityCommand(() => Promise.resolve(fakeHost()));
    expect(await command.run(["--golden", link, "--models", models], fakeIo())).toBe(0);
  });

  test("on a terminal says what it checks, and clears it", async () => {
    const io = fakeIo({ isTty: true });
    await parity(["--only", "dequant"], {}, io);
    expect(io.stderr()).toMatch(/\rchecking dequant F32\x1b\[K\r\x1b\[K/);
  });

  test.each([
    [["--only", "forwrd"], 'Unknown area "forwrd" in --only; did you mean forward?'],
    [["--model", "x"], '--model must read FOLDER=FILE, got "x"'],
  ])("refuses %j", async (args, message) => {
    await expect(parity(args)).rejects.toThrow(new UsageError(message));
  });

  test("a golden folder that is not there is told", async () => {
    await expect(parity(["--golden", join(directory, "none")])).rejects.toMatchObject({
      code: "not-found",
    });
  });
});

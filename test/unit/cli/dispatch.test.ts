import { describe, expect, test } from "vitest";
import type { Command } from "../../../cli/command.ts";
import { dispatch, type CommandTable } from "../../../cli/dispatch.ts";
import { UsageError } from "../../../cli/options.ts";
import { runCommand } from "../../../cli/run.ts";
import { KvasirError } from "../../../src/errors.ts";
import { type FakeIo, fakeIo, fakeModel } from "./fakes.ts";

function tableOf(run: Command["run"]): CommandTable {
  const command: Command = { name: "work", summary: "Works", usage: "Usage: kvasir work\n", run };
  return {
    work: { summary: "Works", open: () => Promise.resolve(command) },
    run: { summary: "Answers", open: () => Promise.resolve(runCommand(fakeModel().load)) },
  };
}

async function call(
  args: string[],
  run: Command["run"] = () => Promise.resolve(0),
  options: { isDebug?: boolean; io?: FakeIo } = {},
): Promise<{ code: number; out: string; err: string }> {
  const io = options.io ?? fakeIo();
  const code = await dispatch(args, io, tableOf(run), {
    version: "1.2.3",
    isDebug: options.isDebug ?? false,
  });
  return { code, out: io.stdout(), err: io.stderr() };
}

const failWith = (error: Error) => () => Promise.reject(error);

describe("dispatch", () => {
  test("hands the arguments on and gives the code back", async () => {
    let seen: string[] = [];
    const { code } = await call(["work", "--a", "b"], (args) => {
      seen = args;
      return Promise.resolve(3);
    });
    expect([code, seen]).toEqual([3, ["--a", "b"]]);
  });

  test("--version and --help", async () => {
    expect(await call(["--version"])).toEqual({ code: 0, out: "1.2.3\n", err: "" });
    const help = await call(["--help"]);
    expect(help.code).toBe(0);
    expect(help.out).toMatch(/work +Works[^]*Example:\n {2}kvasir run/);
    expect(await call(["work", "-x", "--help"])).toMatchObject({
      code: 0,
      out: "Usage: kvasir work\n",
    });
    expect((await call(["help", "work"])).out).toBe("Usage: kvasir work\n");
    expect((await call(["run", "--help"])).out).toContain("--bytes SIZE");
  });

  test("no command: the overview on standard error, 2", async () => {
    const { code, out, err } = await call([]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("Commands:");
  });

  test.each([
    [["wrk"], 'kvasir: Unknown command "wrk"; did you mean "work"?\nTry: kvasir --help\n'],
    [["--wat"], 'kvasir: Unknown option "--wat"\nTry: kvasir --help\n'],
    [["toString"], 'kvasir: Unknown command "toString"\nTry: kvasir --help\n'],
    [
      ["run", "--promt", "x"],
      "kvasir: Unknown option --promt; did you mean --prompt?\nTry: kvasir run --help\n",
    ],
  ])("%j: 2 with a suggestion", async (args, err) => {
    expect(await call(args)).toEqual({ code: 2, out: "", err });
  });

  test("a usage error of a command: 2", async () => {
    const { code, err } = await call(["work"], failWith(new UsageError("--a is required")));
    expect([code, err]).toEqual([2, "kvasir: --a is required\nTry: kvasir work --help\n"]);
  });

  test("a KvasirError: one line with its code, 1, no stack", async () => {
    const error = new KvasirError("bad-gguf", "Cannot parse the file:\n  magic differs");
    const { code, err } = await call(["work"], failWith(error));
    expect([code, err]).toEqual([1, "kvasir: Cannot parse the file: magic differs [bad-gguf]\n"]);
  });

  test("any other error: one line, 1; a stack with its causes only when asked", async () => {
    const error = new Error("odd", { cause: new Error("deeper") });
    expect(await call(["work"], failWith(error))).toMatchObject({ code: 1, err: "kvasir: odd\n" });
    const { err } = await call(["work"], failWith(error), { isDebug: true });
    expect(err).toMatch(/^kvasir: odd\nError: odd\n +at [^]*Caused by: Error: deeper/);
  });

  test("stopped by Ctrl-C: 130 and no complaint", async () => {
    const io = fakeIo();
    io.controller.abort();
    const error = new KvasirError("aborted", "Cannot generate: aborted");
    expect(await call(["work"], failWith(error), { io })).toEqual({
      code: 130,
      out: "",
      err: "\n",
    });
  });

  test("aborted for another reason: an error like any other", async () => {
    const error = new KvasirError("aborted", "Cannot generate: aborted");
    expect((await call(["work"], failWith(error))).code).toBe(1);
  });
});

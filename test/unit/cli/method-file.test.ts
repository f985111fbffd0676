import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadMethod } from "../../../cli/method-file.ts";
import { UsageError } from "../../../cli/options.ts";
import { createMethod } from "../../../src/compression/registry.ts";

const folder = mkdtempSync(join(tmpdir(), "kvasir-method-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, code: string): string {
  const path = join(folder, name);
  writeFileSync(path, code);
  return path;
}

const newest = `{
  id: "newest", version: 1, parameters: {},
  create: (given = {}) => ({ id: "newest", version: 1, parameters: given }),
}`;

describe("loadMethod", () => {
  test("a name and its parameters, as the registry knows them", async () => {
    expect(await loadMethod("snapkv")).toBe("snapkv");
    expect(await loadMethod("snapkv:windowSize=16")).toEqual({ name: "snapkv", windowSize: 16 });
    await expect(loadMethod("nope")).rejects.toMatchObject({ code: "not-found" });
  });

  test.each([
    ["default", `export default ${newest};`],
    ["method", `export const method = ${newest};`],
  ])("a module's export %s, with parameters after a colon", async (name, code) => {
    const path = file(`${name}.mjs`, code);
    expect(createMethod(await loadMethod(path)).id).toBe("newest");
    const { parameters } = createMethod(await loadMethod(`${path}:nSink=2,isOn=true`));
    expect(parameters).toEqual({ nSink: 2, isOn: true });
  });

  test("says what is wrong with a file", async () => {
    const broken = file("broken.mjs", "export default 3; export const other = 4;");
    await expect(loadMethod(broken)).rejects.toMatchObject({
      code: "bad-option",
      message: expect.stringContaining("got default, other") as string,
    });
    await expect(loadMethod(join(folder, "none.mjs"))).rejects.toMatchObject({ code: "not-found" });
    const path = file("fine.mjs", `export default ${newest};`);
    await expect(loadMethod(`${path}:nSink`)).rejects.toThrow(UsageError);
  });
});

// A worker's script of another build takes the words of a job for others, unless the version says so.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { VERSION } from "../../../src/engine/wasm/pool/control.ts";

/** Of the code in both files, by version. */
const KNOWN = { 2: "355c446f9e21bd31" };

test("VERSION goes up with control.ts and jobs.ts: raise it, and put the hash above", () => {
  const hash = createHash("sha256");
  for (const name of ["control", "jobs"]) {
    const path = new URL(`../../../src/engine/wasm/pool/${name}.ts`, import.meta.url);
    const code = readFileSync(path, "utf8").replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
    hash.update(code.replace(/\s+/g, ""));
  }
  expect({ [VERSION]: hash.digest("hex").slice(0, 16) }).toEqual(KNOWN);
});

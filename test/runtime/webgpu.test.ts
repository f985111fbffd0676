// The engine "webgpu" of the built package in the programs that have WebGPU: Dawn in Node, wgpu in Deno.
// Their compilers take the same shaders, each with limits of its own. Needs a built dist/.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { requireGolden } from "../support/golden.ts";
import { softwareVulkanEnv } from "../support/software-vulkan.ts";
import { toyGolden } from "../support/toys.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "kvasir-runtime-webgpu-"));
afterAll(() => rmSync(folder, { recursive: true }));

const TIMEOUT_MS = 180_000;
const N_TOKENS = 12;
const deno = [join(root, "node_modules", "deno", "bin.cjs"), "run", "--quiet", "--allow-all"];

/** What a program prints, as JSON; it must end by itself. */
function run(command: readonly string[], name: string, code: string): unknown {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, code);
  const options = { encoding: "utf8", timeout: TIMEOUT_MS, env: softwareVulkanEnv() } as const;
  return JSON.parse(execFileSync(process.execPath, [...command, path], options));
}

/** Tokens of an answer on a toy, and the engine that made them. */
function answer(entry: string, chunkSize: number): string {
  const { ids } = toyGolden("toy-qwen2");
  return `
    import { load } from ${JSON.stringify(join(root, "dist", entry))};
    const path = ${JSON.stringify(requireGolden("toys/toy-qwen2.gguf"))};
    const model = await load(path, { engine: "webgpu" });
    const session = model.session({ codec: "f32", chunkSize: ${chunkSize} });
    const tokens = [];
    const options = { maxTokens: ${N_TOKENS}, ignoreEos: true };
    for await (const event of session.generate({ tokens: ${JSON.stringify(ids)} }, options)) {
      if (event.type === "token") tokens.push(event.token);
    }
    const { name, activations } = model.engine;
    model.dispose();
    console.log(JSON.stringify({ tokens, name, activations }));`;
}

const expected = {
  tokens: toyGolden("toy-qwen2").greedy.tokens.slice(0, N_TOKENS),
  name: "webgpu",
  activations: "f32",
};

describe("golden tokens on the built package", () => {
  it("node, by the package webgpu, eight prompt tokens at a time", { timeout: TIMEOUT_MS }, () => {
    expect(run([], "node", answer("node.js", 8))).toEqual(expected);
  });

  it("deno, eight prompt tokens at a time", { timeout: TIMEOUT_MS }, () => {
    expect(run(deno, "deno", answer("deno.js", 8))).toEqual(expected);
  });
});

// The suite that WebGPU's stacks are checked with, as one module that runs by itself: test/stacks/ with
// the contract's cases, and vitest's place taken.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "./run.mjs";

/**
 * Bundles the suite into `folder`: suite.mjs for Node and Deno, suite.page.js for pages, and the kernels
 * that both look for beside them.
 */
export async function bundleSuite(folder) {
  const stacks = join(root, "test", "stacks");
  const shared = {
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: ["node:*", "webgpu"],
    mainFields: ["module", "main"],
    loader: { ".wgsl": "text" },
    alias: { vitest: join(stacks, "vitest-shim.ts") },
    logLevel: "warning",
  };
  const entry = (name, outfile) =>
    build({ ...shared, entryPoints: [join(stacks, name)], outfile: join(folder, outfile) });
  await entry("program.ts", "suite.mjs");
  await entry("page.ts", "suite.page.js");
  for (const name of ["simd128", "relaxed"]) {
    const file = join("kernels", name, "kvasir_kernels_bg.wasm");
    cpSync(join(root, "dist", file), join(folder, file));
  }
}

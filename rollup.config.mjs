// Builds dist/: every entry as one ES module, shared code in chunks beside them, types as .d.ts.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { dts } from "rollup-plugin-dts";
import esbuild from "rollup-plugin-esbuild";

// Output name -> source. `hasTypes`: what others import.
const entries = [
  { name: "index", source: "src/index.ts", hasTypes: true },
  { name: "node", source: "src/entry/node.ts" },
  { name: "deno", source: "src/entry/deno.ts" },
  { name: "browser", source: "src/entry/browser.ts" },
  { name: "workerd", source: "src/entry/workerd.ts" },
  { name: "worker", source: "workers/client.ts", hasTypes: true },
  { name: "session.worker", source: "workers/session.worker.ts" },
  { name: "kernel-pool.worker", source: "workers/kernel-pool.worker.ts" },
  { name: "cli", source: "cli/main.ts" },
].filter(({ source }) => existsSync(source));

const inputs = (list) => Object.fromEntries(list.map(({ name, source }) => [name, source]));

/** Shaders become strings. */
const wgsl = {
  name: "wgsl",
  transform(code, id) {
    if (!id.endsWith(".wgsl")) return null;
    return { code: `export default ${JSON.stringify(code)};`, map: null };
  },
};

/** Kernels stay files in dist/kernels; an import of one (workerd) becomes relative to the output. */
const kernels = {
  name: "kernels",
  resolveId(source) {
    const file = /\/kernels\/\w+\/[^/]+\.wasm$/.exec(source);
    return file === null
      ? null
      : { id: join(import.meta.dirname, "dist", file[0]), external: "relative" };
  },
};

/** Removes what an earlier build left; the kernels stay. */
const clean = {
  name: "clean",
  buildStart() {
    for (const name of existsSync("dist") ? readdirSync("dist") : []) {
      if (name !== "kernels") rmSync(join("dist", name), { recursive: true });
    }
  },
};

const output = {
  dir: "dist",
  format: "es",
  entryFileNames: "[name].js",
  // Beside the entries: `new URL("./kernels/…", import.meta.url)` must hold in chunks too.
  chunkFileNames: (chunk) => `chunk-${basename(chunk.name, ".ts")}-[hash].js`,
  sourcemap: true,
  sourcemapExcludeSources: true,
};

export default [
  {
    input: inputs(entries),
    external: /^node:/,
    output,
    treeshake: { moduleSideEffects: false },
    plugins: [clean, kernels, wgsl, nodeResolve(), esbuild({ target: "es2022" })],
  },
  {
    input: inputs(entries.filter(({ hasTypes }) => hasTypes)),
    external: /\.wgsl$/,
    output: {
      dir: "dist",
      format: "es",
      entryFileNames: "[name].d.ts",
      chunkFileNames: "types-[hash].d.ts",
    },
    plugins: [dts()],
  },
].filter(({ input }) => Object.keys(input).length > 0);

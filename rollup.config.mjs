// Builds dist/: every entry as one ES module, shared code in chunks beside them, types as .d.ts.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
  { name: "worker", source: "workers/client.ts", hasTypes: true },
  { name: "worker.node", source: "workers/client.node.ts" },
  { name: "worker.deno", source: "workers/client.deno.ts" },
  { name: "session.worker", source: "workers/session.worker.ts" },
  { name: "session.node.worker", source: "workers/session.node.worker.ts" },
  { name: "session.deno.worker", source: "workers/session.deno.worker.ts" },
  { name: "kernel-pool.worker", source: "workers/kernel-pool.worker.ts" },
  { name: "kernel-pool.node.worker", source: "workers/kernel-pool.node.worker.ts" },
  { name: "cli", source: "cli/main.ts" },
].filter(({ source }) => existsSync(source));

/** In one file: what is uploaded to Workers is a list of modules, and it is easily one too short. */
const single = [{ name: "workerd", source: "src/entry/workerd.ts" }];

/** There are no GPUs: their engine stays out. */
const noGpu = {
  name: "no-gpu",
  resolveId: (source) => (source.endsWith("/webgpu/create.ts") ? "\0no-gpu" : null),
  load: (id) =>
    id === "\0no-gpu"
      ? 'export const createWebGpuEngine = async () => ({ refusal: "Workers have no GPU" });'
      : null,
};

const inputs = (list) => Object.fromEntries(list.map(({ name, source }) => [name, source]));

/** Shaders become strings, without comments and indentation. */
const wgsl = {
  name: "wgsl",
  transform(code, id) {
    if (!id.endsWith(".wgsl")) return null;
    const lines = code.split("\n").map((line) => line.replace(/\/\/.*/, "").trim());
    const text = lines.filter((line) => line !== "").join("\n");
    return { code: `export default ${JSON.stringify(text)};`, map: null };
  },
};

const kernelFile = /\/kernels\/\w+\/[^/]+\.wasm$/;

/** Kernels stay files in dist/kernels; an import of one (workerd) becomes relative to the output. */
const kernels = {
  name: "kernels",
  resolveId: (source) => (kernelFile.test(source) ? { id: source, external: "absolute" } : null),
};

/** The licences of what is bundled in. */
const notices = {
  name: "notices",
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => Object.keys(chunk.modules ?? {}));
    const inside = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//;
    const packages = new Map(
      modules.flatMap((id) => {
        const found = inside.exec(id.replaceAll("\\", "/"));
        return found === null ? [] : [[found[2], found[1]]];
      }),
    );
    const texts = [...packages].sort().map(([name, folder]) => {
      const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((entry) => /^licen[sc]e/i.test(entry));
      const text = file === undefined ? "" : readFileSync(join(folder, file), "utf8");
      return `${name} ${version} (${license})\n\n${text.trim()}\n`;
    });
    const source = texts.join(`\n${"-".repeat(80)}\n\n`);
    if (source !== "") this.emitFile({ type: "asset", fileName: "THIRD-PARTY.txt", source });
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
  paths: (id) => (kernelFile.test(id) ? `.${kernelFile.exec(id)[0]}` : id),
};

const code = [kernels, wgsl, nodeResolve(), esbuild({ target: "es2022", minify: true })];
const treeshake = { moduleSideEffects: false };

export default [
  {
    input: inputs(entries),
    external: /^(node:|webgpu$)/,
    output,
    treeshake,
    plugins: [clean, notices, ...code],
  },
  ...single.map((entry) => ({
    input: inputs([entry]),
    output: { ...output, inlineDynamicImports: true },
    treeshake,
    plugins: [noGpu, ...code],
  })),
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

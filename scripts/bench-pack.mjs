// Packs the benchmark for a machine without npm: `node scripts/bench-pack.mjs FOLDER`, then there
// `node FOLDER/run.mjs [options of npm run bench] --model FILE`. Records go to FOLDER/bench/record.
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ensureBuilt } from "./build.mjs";
import { bundleBench, jobBundles } from "./lib/bench.mjs";
import { packCommit, packWebGpu } from "./lib/pack.mjs";
import { root, say } from "./lib/run.mjs";

const runner = `// Runs the packed benchmark; see bench/README.md.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { main } from "./main.js";

const root = fileURLToPath(new URL(".", import.meta.url));
const say = (line) => process.stderr.write(line + "\\n");
const absent = (what) => async () => {
  throw new Error("Cannot fetch " + what + " here: name a file");
};
const commit = JSON.parse(readFileSync(new URL("commit.json", import.meta.url), "utf8"));
const host = {
  root,
  say,
  commit,
  ensureChromium: absent("Chromium"),
  ensureModel: absent("a model"),
  prepareRun: async () => root,
};
process.exitCode = await main(process.argv.slice(2), host);
`;

const variantsRunner = `// Compares the variants of the GPU's kernels; see bench/README.md.
import { load, runtime as own } from "./package/node.js";
import { main } from "./variants.js";

// Dawn hides some features behind toggles, such as vulkan_enable_f16_on_nvidia.
const toggles = process.env.DAWN_FEATURES;
const dawn = toggles && (await import("webgpu")).create(["enable-dawn-features=" + toggles]);
const runtime = dawn ? { ...own, gpu: async () => dawn } : own;

const say = (line) => process.stdout.write(line + "\\n");
process.exit(await main(process.argv.slice(2), { load, runtime, say }));
`;

const folder = process.argv[2];
if (folder === undefined) {
  say("Cannot pack the benchmark: name a folder");
  process.exit(1);
}
const to = resolve(folder);
rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
await ensureBuilt();
await bundleBench(["main", "variants", ...jobBundles], to);
cpSync(join(root, "dist"), join(to, "package"), { recursive: true });
packWebGpu(to, process.argv[3]);
packCommit(to);
writeFileSync(join(to, "run.mjs"), runner);
writeFileSync(join(to, "variants.mjs"), variantsRunner);
say(`Packed: ${to}`);

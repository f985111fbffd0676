// Packs the WebGPU suite for a machine without npm: `node scripts/suite-pack.mjs FOLDER [linux-x64]`, then
// there `node FOLDER/suite.mjs` or `deno run -A FOLDER/suite.mjs`; `--model FILE` adds SmolLM2's prompts.
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { packCommit, packWebGpu } from "./lib/pack.mjs";
import { root, say } from "./lib/run.mjs";
import { bundleSuite } from "./lib/suite.mjs";

const [folder, platform] = process.argv.slice(2);
if (folder === undefined) {
  say("Cannot pack the suite: name a folder");
  process.exit(1);
}
const to = resolve(folder);
rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
await bundleSuite(to);
packGoldens();
packWebGpu(to, platform);
packCommit(to);
say(`Packed: ${to}`);

/** The toys, and what SmolLM2 answers to short prompts; not the insides of its layers. */
function packGoldens() {
  const golden = join(root, "test", "golden");
  cpSync(join(golden, "toys"), join(to, "golden", "toys"), { recursive: true });
  const forward = join("smollm2", "forward");
  const names = readdirSync(join(golden, forward)).filter((name) =>
    /^p\d+\.(json|last_logits\.f32)$/.test(name),
  );
  for (const name of names) cpSync(join(golden, forward, name), join(to, "golden", forward, name));
}

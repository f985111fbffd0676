// `npm run bench`: builds what is stale, bundles bench/ and runs it. bench/options.ts has the usage.
import { cpSync, existsSync, mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureBuilt } from "./build.mjs";
import { ensureChromium } from "./ensure-chromium.mjs";
import { ensureModel } from "./ensure-model.mjs";
import { bundleBench, jobBundles } from "./lib/bench.mjs";
import { root, say } from "./lib/run.mjs";

const cache = join(root, ".cache", "bench");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "run-"));

/** A copy of the package, so that a build in the middle of a run changes nothing. */
async function prepareRun({ packageFolder = join(root, "dist"), isBuilt }) {
  if (!isBuilt) await ensureBuilt();
  if (!existsSync(join(packageFolder, "node.js"))) {
    throw new Error(`Cannot measure "${packageFolder}": it holds no built package`);
  }
  const own = mkdtempSync(join(folder, "files-"));
  cpSync(packageFolder, join(own, "package"), { recursive: true });
  await bundleBench(jobBundles, own);
  return own;
}

try {
  await bundleBench(["main"], folder);
  const { main } = await import(pathToFileURL(join(folder, "main.js")).href);
  const host = { root, say, ensureChromium, ensureModel, prepareRun };
  process.exitCode = await main(process.argv.slice(2), host);
} catch (error) {
  say(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

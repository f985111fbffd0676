// Builds dist/: the kernels where they are stale and Rust is there, then the JavaScript and types.
//
//   node scripts/build.mjs            build in any case
//   node scripts/build.mjs --stale    build only what changed since the last build
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { builtHash, sourcesHash } from "./lib/kernels.mjs";
import { bin, root, run, say } from "./lib/run.mjs";

const inputs = ["src", "workers", "cli", "rollup.config.mjs", "package.json", "tsconfig.json"];
const built = join(root, "dist", "cli.js");
const stamp = join(root, ".cache", "built-from");

/** Kernels that came with the repository are good enough to go on with. */
export async function ensureKernels() {
  if (builtHash() === sourcesHash()) return;
  try {
    await run(process.execPath, [join(root, "scripts", "build-kernels.mjs")]);
  } catch (error) {
    if (builtHash() === null) throw error;
    say(`The kernels in dist/kernels are older than their sources: ${error.message}`);
  }
}

/** Rollup's part; keeps dist/kernels. */
export async function bundle() {
  const hash = inputsHash();
  rmSync(stamp, { force: true });
  await run(process.execPath, [bin("rollup"), "-c", "--silent"]);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

export async function ensureBuilt() {
  await ensureKernels();
  const isFresh =
    existsSync(built) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputsHash();
  if (!isFresh) await bundle();
}

function inputsHash() {
  const hash = createHash("sha256");
  for (const path of inputs.flatMap(filesOf)) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

function filesOf(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [path];
  return readdirSync(full)
    .sort()
    .flatMap((name) => filesOf(`${path}/${name}`));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  if (process.argv.includes("--stale")) await ensureBuilt();
  else {
    await ensureKernels();
    await bundle();
  }
}

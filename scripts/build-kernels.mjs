// Builds rust-kernels into dist/kernels/<build>/, when their sources changed.
//
//   node scripts/build-kernels.mjs           build what is stale
//   node scripts/build-kernels.mjs --force   build in any case
//   node scripts/build-kernels.mjs --own     build unless this checkout compiled them itself
//   node scripts/build-kernels.mjs --check   only say whether dist/kernels is up to date (status 1: stale)
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { copyFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  builds,
  builtHash,
  crate,
  files,
  isOwnBuild,
  output,
  ownBuild,
  ownBuildRecord,
  sourcesHash,
} from "./lib/kernels.mjs";
import { capture, root, run, say } from "./lib/run.mjs";
import {
  ensureWasmBindgen,
  ensureWasmPack,
  threadsSysroot,
  toolchainEnv,
  wasmBindgenVersion,
  wasmToolchain,
} from "./lib/rust.mjs";

const options = new Set(process.argv.slice(2));
const isFresh = builtHash() === sourcesHash() && (!options.has("--own") || isOwnBuild());

if (options.has("--check")) {
  say(isFresh ? "dist/kernels is up to date" : "dist/kernels is stale: npm run kernels");
  process.exitCode = isFresh ? 0 : 1;
} else if (isFresh && !options.has("--force")) {
  say("dist/kernels is up to date");
} else {
  await buildAll();
}

async function buildAll() {
  const toolchain = await wasmToolchain();
  say(`Kernels by ${capture(toolchain.rustc, ["--version"])}`);
  const wasmPack = await ensureWasmPack();
  // Also writes Cargo.lock where it is missing, and fills the registry's folder before its name is used.
  await run(toolchain.cargo, ["fetch"], {
    cwd: crate,
    env: toolchainEnv(toolchain, []),
    quiet: true,
  });
  await ensureWasmBindgen(wasmBindgenVersion(crate));
  const hash = sourcesHash(); // before: a change during the build makes it stale
  const alone = writeAlone();
  const sysroot = await threadsSysroot(toolchain, join(crate, "target"));
  for (const build of builds) {
    const own = build.hasThreads ? [`--sysroot=${sysroot}`, ...build.flags] : build.flags;
    await buildOne(toolchain, wasmPack, alone, { name: build.name, flags: own });
  }
  const known = new Set(["hash.json", ...builds.map(({ name }) => name)]);
  for (const name of readdirSync(output)) {
    if (!known.has(name)) rmSync(join(output, name), { recursive: true });
  }
  await writeFile(join(output, "hash.json"), `${JSON.stringify({ sources: hash }, null, 2)}\n`);
  await writeFile(ownBuild, ownBuildRecord(hash));
}

/**
 * The crate once more, as what wasm-pack needs and nothing else: beside the library that its tests
 * link, cargo leaves out link-time optimisation, which is a tenth of a product's speed.
 *
 * @returns {string} Its folder.
 */
function writeAlone() {
  const folder = join(crate, "target", "alone");
  mkdirSync(folder, { recursive: true });
  const manifest = readFileSync(join(crate, "Cargo.toml"), "utf8");
  const [before, after] = manifest.split('crate-type = ["cdylib", "rlib"]\n');
  if (after === undefined) throw new Error("Cannot build: Cargo.toml names no crate types");
  const lib = 'path = "../../src/lib.rs"\ncrate-type = ["cdylib"]\n';
  writeFileSync(join(folder, "Cargo.toml"), `${before}${lib}${after}\n[workspace]\n`);
  copyFileSync(join(crate, "Cargo.lock"), join(folder, "Cargo.lock"));
  return folder;
}

/** wasm-pack writes into a folder of its own; only the wanted files reach dist. */
async function buildOne(toolchain, wasmPack, alone, { name, flags }) {
  const folder = join(crate, "target", `pack-${name}-${process.pid}`);
  // A link-time optimised build is already small; wasm-opt would be one more download.
  const args = ["build", "--release", "--target", "web", "--mode", "no-install"];
  const out = ["--out-dir", folder, "--out-name", "kvasir_kernels", "--no-pack"];
  const remap = `--remap-path-prefix=${root}=.`;
  try {
    const env = toolchainEnv(toolchain, [...flags, remap]);
    await run(wasmPack, [...args, ...out, alone], {
      env: { ...env, CARGO_TARGET_DIR: join(crate, "target") },
    });
    await install(folder, join(output, name));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function install(folder, destination) {
  mkdirSync(destination, { recursive: true });
  for (const file of files) {
    const part = join(destination, `${file}.part`);
    await copyFile(join(folder, file), part);
    await rename(part, join(destination, file));
  }
  for (const file of readdirSync(destination)) {
    if (!files.includes(file)) rmSync(join(destination, file));
  }
  if (!existsSync(join(destination, files[0]))) throw new Error(`Cannot build ${destination}`);
}

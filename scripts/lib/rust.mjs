// Finds, or sets up, a Rust that compiles to wasm32-unknown-unknown, wasm-pack and wasm-bindgen.
//
// Ordinary way: rustup, which downloads the target. Where there is no rustup, or it cannot
// download, Debian's `rustc-web` packages carry the source of std, from which the target is built once.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { copyFile, rename, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { aptInstall, capture, isExecutable, isReachable, run, say, which } from "./run.mjs";

export const target = "wasm32-unknown-unknown";
const debianPackages = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const debianBin = "/usr/bin";
const debianSource = "/usr/lib/rustlib/src/rust/library";

/** In CARGO_ENCODED_RUSTFLAGS: paths may hold spaces. */
const flagSeparator = "\x1f";

export const cargoHome = process.env["CARGO_HOME"] ?? join(homedir(), ".cargo");
const cargoBin = join(cargoHome, "bin");

/** PATH with the folder where cargo installs. */
function searchPath() {
  return [cargoBin, process.env["PATH"] ?? ""].join(delimiter);
}

function findProgram(name) {
  return which(name, searchPath());
}

/** A cargo for the machine's own code (tests, cargo install), or null. */
export function findCargo() {
  return [findProgram("cargo"), join(debianBin, "cargo")].find(
    (cargo) => cargo !== null && capture(cargo, ["--version"]) !== null,
  );
}

/** Every Rust on this machine, the PATH's before Debian's: `{ rustc, cargo, linker }`. */
function toolchains() {
  const onPath = findProgram("rustc");
  const folders = new Set([...(onPath === null ? [] : [dirname(onPath)]), debianBin]);
  return [...folders]
    .map((folder) => ({ rustc: join(folder, "rustc"), cargo: join(folder, "cargo") }))
    .filter(({ rustc, cargo }) => isExecutable(rustc) && isExecutable(cargo))
    .map((toolchain) => ({ ...toolchain, linker: linkerOf(toolchain) }));
}

/** rustup brings its own linker; Debian's Rust uses LLVM's. */
function linkerOf({ rustc }) {
  if (dirname(rustc) !== debianBin) return null;
  const linkers = readdirSync(debianBin).filter((name) => /^wasm-ld(-\d+)?$/.test(name));
  const version = (name) => Number(name.split("-")[2] ?? 0);
  return linkers.sort((a, b) => version(b) - version(a))[0] ?? null;
}

function targetFolder({ rustc }) {
  return capture(rustc, ["--print", "target-libdir", "--target", target]);
}

function hasTarget(toolchain) {
  const folder = targetFolder(toolchain);
  if (folder === null || !existsSync(folder)) return false;
  return readdirSync(folder).some((name) => /^libstd-.*\.rlib$/.test(name));
}

/** @returns `{ rustc, cargo, linker }` that compiles to wasm32. @throws With what to install. */
export async function wasmToolchain() {
  const find = () => toolchains().find(hasTarget);
  const found = find();
  if (found !== undefined) return found;
  if (await addTargetByRustup()) return find();
  await buildTargetByDebian();
  const built = find();
  if (built !== undefined) return built;
  throw new Error(
    `Cannot find a Rust for ${target}: install rustup (https://rustup.rs) and run ` +
      `"rustup target add ${target}"`,
  );
}

async function addTargetByRustup() {
  const rustup = findProgram("rustup");
  if (rustup === null) return false;
  if (!(await isReachable("https://static.rust-lang.org"))) {
    say("rustup's server cannot be reached");
    return false;
  }
  try {
    await run(rustup, ["target", "add", target]);
    return true;
  } catch (error) {
    say(`rustup target add failed: ${error.message}`);
    return false;
  }
}

async function buildTargetByDebian() {
  const isInstalled = () => existsSync(debianSource) && isExecutable(join(debianBin, "cargo"));
  if (!isInstalled() && !(await aptInstall(debianPackages))) return;
  const toolchain = toolchains().find(({ rustc }) => dirname(rustc) === debianBin);
  if (toolchain === undefined || !isInstalled()) return;
  if (toolchain.linker === null) {
    if (!(await aptInstall(debianPackages))) return;
    toolchain.linker = linkerOf(toolchain);
  }
  say(`Building std for ${target} from Debian's source (about a minute)`);
  const folder = mkdtempSync(join(tmpdir(), "kvasir-std-"));
  try {
    await buildStd(toolchain, folder);
    await installStd(folder, targetFolder(toolchain));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compiles std as the dependency of an empty crate, with `extra` flags; Debian's crates are vendored. */
async function buildStd({ rustc, cargo, linker }, folder, extra = []) {
  mkdirSync(join(folder, "src"));
  mkdirSync(join(folder, ".cargo"));
  const manifest = '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n';
  await writeFile(join(folder, "Cargo.toml"), `${manifest}[lib]\ncrate-type = ["cdylib"]\n`);
  await writeFile(join(folder, "src", "lib.rs"), "");
  const isDebian = dirname(rustc) === debianBin;
  const vendored =
    `[source.crates-io]\nreplace-with = "vendored"\n` +
    `[source.vendored]\ndirectory = "${debianSource}/vendor"\n`;
  await writeFile(join(folder, ".cargo", "config.toml"), isDebian ? vendored : "");
  // Without embed-bitcode, crates with `lto = true` fail: "Can't find section .llvmbc".
  const flags = [
    ...(linker === null ? [] : ["-C", `linker=${linker}`]),
    ...["-C", "embed-bitcode=yes"],
    ...extra,
    `--remap-path-prefix=${dirname(debianSource)}=/rust`,
    `--remap-path-prefix=${folder}=/std`,
  ];
  await run(cargo, ["build", "--release", "--target", target, "-Z", "build-std=std,panic_abort"], {
    cwd: folder,
    env: {
      ...process.env,
      RUSTC: rustc,
      RUSTC_BOOTSTRAP: "1",
      CARGO_ENCODED_RUSTFLAGS: flags.join(flagSeparator),
      CARGO_TARGET_DIR: join(folder, "target"),
    },
  });
}

/**
 * A sysroot whose std is compiled with atomics: a memory shared with workers takes no other. Built
 * once per compiler, in `folder`.
 */
export async function threadsSysroot(toolchain, folder) {
  const version = capture(toolchain.rustc, ["--version"]) ?? "unknown";
  const sysroot = join(folder, `sysroot-threads-${version.replaceAll(/[^\w.-]+/g, "-")}`);
  const libraries = join(sysroot, "lib", "rustlib", target, "lib");
  if (existsSync(libraries) && readdirSync(libraries).some((name) => /^libstd-/.test(name))) {
    return sysroot;
  }
  await ensureStdSource(toolchain);
  say(`Building std for ${target} with atomics (one to three minutes)`);
  const build = mkdtempSync(join(tmpdir(), "kvasir-std-"));
  const features = "target-feature=+atomics,+bulk-memory,+mutable-globals";
  try {
    await buildStd(toolchain, build, ["-C", features]);
    await installStd(build, libraries);
    await linkHost(toolchain, sysroot);
  } finally {
    rmSync(build, { recursive: true, force: true });
  }
  return sysroot;
}

/** Build scripts and procedural macros are compiled for the machine itself, from the same sysroot. */
async function linkHost({ rustc }, sysroot) {
  const own = capture(rustc, ["--print", "sysroot"]);
  const host = /^host: (.+)$/m.exec(capture(rustc, ["-vV"]) ?? "")?.[1];
  if (own === null || host === undefined) throw new Error("Cannot ask rustc for its sysroot");
  const link = join(sysroot, "lib", "rustlib", host);
  if (!existsSync(link)) await symlink(join(own, "lib", "rustlib", host), link);
}

/** The source of std: a component of rustup's, a package of Debian's. */
async function ensureStdSource({ rustc }) {
  const own = capture(rustc, ["--print", "sysroot"]) ?? "";
  const source = join(own, "lib", "rustlib", "src", "rust", "library", "Cargo.toml");
  if (existsSync(source)) return;
  const rustup = dirname(rustc) === debianBin ? null : findProgram("rustup");
  if (rustup !== null) await run(rustup, ["component", "add", "rust-src"]);
  else await aptInstall(debianPackages);
}

/** Puts the libraries into the sysroot, the one that marks it as complete (std) last. */
async function installStd(folder, destination) {
  const built = join(folder, "target", target, "release", "deps");
  const names = readdirSync(built).filter(
    (name) => /\.rlib$/.test(name) && !/^libempty/.test(name),
  );
  const isStd = (name) => name.startsWith("libstd-");
  names.sort((a, b) => Number(isStd(a)) - Number(isStd(b)));
  mkdirSync(destination, { recursive: true });
  for (const name of readdirSync(destination)) {
    if (name.endsWith(".rlib")) rmSync(join(destination, name));
  }
  for (const name of names) {
    const part = join(destination, `${name}.part`);
    await copyFile(join(built, name), part);
    await rename(part, join(destination, name));
  }
}

/** The wasm-bindgen version that a Cargo.lock or Cargo.toml asks for. */
export function wasmBindgenVersion(crate) {
  const lock = join(crate, "Cargo.lock");
  const locked = existsSync(lock)
    ? /name = "wasm-bindgen"\r?\nversion = "([^"]+)"/.exec(readFileSync(lock, "utf8"))
    : null;
  const asked = /^wasm-bindgen = .*?"=?([\d.]+)"/m.exec(
    readFileSync(join(crate, "Cargo.toml"), "utf8"),
  );
  const version = locked?.[1] ?? asked?.[1];
  if (version === undefined) throw new Error(`Cannot find wasm-bindgen in ${crate}/Cargo.toml`);
  return version;
}

/** @returns The path of wasm-pack, installed by cargo when missing. */
export async function ensureWasmPack() {
  const found = findProgram("wasm-pack");
  if (found !== null) return found;
  say("Installing wasm-pack (about two minutes)");
  await run(findCargo() ?? "cargo", ["install", "wasm-pack", "--locked"]);
  return join(cargoBin, "wasm-pack");
}

/** wasm-pack needs exactly the crate's wasm-bindgen; installs it by cargo when it is missing. */
export async function ensureWasmBindgen(version) {
  const found = findProgram("wasm-bindgen");
  if (found !== null && capture(found, ["--version"]) === `wasm-bindgen ${version}`) return;
  say(`Installing wasm-bindgen-cli ${version} (about five minutes)`);
  const name = ["wasm-bindgen-cli", "--version", `=${version}`];
  const flags = ["--locked", "--no-default-features", "--force"];
  await run(findCargo() ?? "cargo", ["install", ...name, ...flags]);
}

/** Environment in which wasm-pack uses this toolchain. */
export function toolchainEnv({ rustc, cargo, linker }, flags) {
  const sources = join(cargoHome, "registry", "src");
  const registries = existsSync(sources) ? readdirSync(sources) : [];
  const remap = registries.map((name) => `--remap-path-prefix=${join(sources, name)}=/crates`);
  const link = linker === null ? [] : ["-C", `linker=${linker}`];
  return {
    ...process.env,
    PATH: [dirname(rustc), cargoBin, process.env["PATH"] ?? ""].join(delimiter),
    RUSTC: rustc,
    CARGO: cargo,
    CARGO_ENCODED_RUSTFLAGS: [...link, ...flags, ...remap].join(flagSeparator),
  };
}

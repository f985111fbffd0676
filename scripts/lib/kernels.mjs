// Which builds of the kernels there are, and whether dist/kernels is up to date.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

/** What a memory shared with workers asks of the compiler and the linker. */
const shared = [
  "--shared-memory",
  "--import-memory",
  "--max-memory=4294967296",
  ...["__stack_pointer", "__wasm_init_tls", "__tls_size", "__tls_align", "__tls_base"].map(
    (name) => `--export=${name}`,
  ),
  "--export=__heap_base",
].flatMap((option) => ["-C", `link-arg=${option}`]);

/**
 * Without loop strength reduction: its addresses are sums, which V8 computes for every load, where a
 * constant offset costs nothing.
 */
const features = (list) => ["-C", `target-feature=${list}`, "-C", "llvm-args=-disable-lsr"];
const atomics = "+atomics,+bulk-memory,+mutable-globals";

/**
 * One .wasm per feature set. `relaxed` is faster where relaxed SIMD exists; `-threads` shares its
 * memory with workers, where that is allowed. All give the same bits.
 */
export const builds = [
  { name: "simd128", flags: features("+simd128"), hasThreads: false },
  { name: "relaxed", flags: features("+simd128,+relaxed-simd"), hasThreads: false },
  {
    name: "simd128-threads",
    flags: [...features(`${atomics},+simd128`), ...shared],
    hasThreads: true,
  },
  {
    name: "relaxed-threads",
    flags: [...features(`${atomics},+simd128,+relaxed-simd`), ...shared],
    hasThreads: true,
  },
];

export const crate = join(root, "rust-kernels");
export const output = join(root, "dist", "kernels");
/** Files that each build leaves in dist/kernels/<build>. */
export const files = ["kvasir_kernels.js", "kvasir_kernels.d.ts", "kvasir_kernels_bg.wasm"];

/** Everything that the .wasm depends on, relative to the crate, sorted. Tests do not count. */
function sources() {
  const rust = readdirSync(join(crate, "src"), { recursive: true })
    .map((path) => `src/${path.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".rs"));
  const roots = ["Cargo.toml", "Cargo.lock", "build.rs"].filter((name) =>
    existsSync(join(crate, name)),
  );
  return [...rust, ...roots].sort();
}

/** SHA-256 over names and contents of the sources and over the flags, hex. */
export function sourcesHash() {
  const hash = createHash("sha256");
  for (const path of sources()) {
    const text = readFileSync(join(crate, path), "utf8").replaceAll("\r\n", "\n");
    hash.update(`${path}\0${Buffer.byteLength(text)}\0${text}`);
  }
  return hash.update(JSON.stringify(builds)).digest("hex");
}

/** Notes what this checkout compiled itself; dist/kernels may have come with the repository. */
export const ownBuild = join(crate, "target", "kvasir-built.json");

/** Whether dist/kernels is what this checkout compiled, from these sources. */
export function isOwnBuild() {
  if (builtHash() === null || !existsSync(ownBuild)) return false;
  return readFileSync(ownBuild, "utf8") === ownBuildRecord(sourcesHash());
}

export function ownBuildRecord(sources) {
  const hashes = builds.map(({ name }) => {
    const wasm = readFileSync(join(output, name, "kvasir_kernels_bg.wasm"));
    return createHash("sha256").update(wasm).digest("hex");
  });
  return JSON.stringify({ sources, hashes });
}

/** The hash that dist/kernels was built from, or null where it is missing or incomplete. */
export function builtHash() {
  const complete = builds.every(({ name }) =>
    files.every((file) => existsSync(join(output, name, file))),
  );
  const record = join(output, "hash.json");
  if (!complete || !existsSync(record)) return null;
  return JSON.parse(readFileSync(record, "utf8")).sources ?? null;
}

// Makes .cache/quality: everything that the comparison needs besides a model and Node or Deno.
//
//   node bench/quality/bundle.mjs
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const own = fileURLToPath(new URL(".", import.meta.url));
const root = join(own, "..", "..");
const folder = join(root, ".cache", "quality");
mkdirSync(folder, { recursive: true });

await build({
  entryPoints: { quality: join(own, "main.ts"), merge: join(own, "merge-main.ts") },
  outdir: folder,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "neutral",
  target: "es2022",
  external: ["node:*"],
  mainFields: ["module", "main"],
  loader: { ".wgsl": "text" },
  logLevel: "warning",
});

for (const kernels of ["relaxed", "simd128"]) {
  const file = join("kernels", kernels, "kvasir_kernels_bg.wasm");
  cpSync(join(root, "dist", file), join(folder, file));
}
const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
const made = ["src", "bench", "dist/kernels"];
const commit = {
  id: git("rev-parse", "HEAD"),
  isDirty: git("status", "--porcelain", "--", ...made) !== "",
};
writeFileSync(join(folder, "commit.json"), `${JSON.stringify(commit)}\n`);
cpSync(join(own, "run.sh"), join(folder, "run.sh"));
chmodSync(join(folder, "run.sh"), 0o755);
console.log(`made ${folder}`);

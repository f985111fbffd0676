// What folders for machines without npm have in common.
import { cpSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, root } from "./run.mjs";

/** WebGPU for Node, of one platform ("linux-x64", default this one's). */
export function packWebGpu(folder, platform = `${process.platform}-${process.arch}`) {
  const from = join(root, "node_modules", "webgpu");
  const into = join(folder, "node_modules", "webgpu");
  if (!existsSync(from)) return;
  for (const name of ["index.js", "package.json", join("dist", platform)]) {
    cpSync(join(from, name), join(into, name), { recursive: true });
  }
}

/** package.json, for modules, and commit.json: what was packed. */
export function packCommit(folder) {
  const git = (...args) => capture("git", args, { cwd: root });
  const isDirty = git("status", "--porcelain", "--untracked-files=no") !== "";
  const commit = { id: git("rev-parse", "HEAD") ?? "unknown", isDirty };
  writeFileSync(join(folder, "commit.json"), JSON.stringify(commit));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
}

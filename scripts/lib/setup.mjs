// What a checkout needs before anything can run: a Node that is new enough, and node_modules.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, say } from "./run.mjs";

const MIN_NODE = 20;

/** @throws When this Node is too old. */
export function checkNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < MIN_NODE) {
    throw new Error(`Cannot run on Node ${process.versions.node}: ${MIN_NODE} or later is needed`);
  }
}

/** Installs the dependencies unless they are those of package-lock.json already. */
export async function ensureDependencies() {
  const npm = (...args) => run("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"]);
  // npm writes its own record last, so an install that was cut off has none.
  const installed = readJson(join(root, "node_modules", ".package-lock.json"));
  const locked = readJson(join(root, "package-lock.json"));
  if (locked === null) return npm("install");
  if (installed === null) return npm("ci");
  const stale = Object.entries(locked.packages).filter(
    ([path, { version, optional }]) =>
      path !== "" && optional !== true && installed.packages[path]?.version !== version,
  );
  if (stale.length > 0) {
    say(`${stale.length} packages differ from package-lock.json`);
    await npm("install");
  }
}

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

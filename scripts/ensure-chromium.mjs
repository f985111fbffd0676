// Makes sure that a Chromium is on this machine, and prints its path.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { aptInstall, isExecutable, root, run, say, which } from "./lib/run.mjs";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const places = [
  "/usr/bin/chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** @returns The path of a Chromium. @throws When there is none and none can be installed. */
export async function ensureChromium() {
  const asked = process.env["KVASIR_CHROMIUM"];
  if (asked !== undefined && asked !== "") return asked;
  const found = findChromium() ?? (await findPlaywrights());
  if (found !== null) return found;
  if (await aptInstall(["chromium"])) {
    const installed = findChromium();
    if (installed !== null) return installed;
  }
  say("Installing Playwright's Chromium");
  const cli = join(root, "node_modules", "playwright-core", "cli.js");
  await run(process.execPath, [cli, "install", "chromium"]);
  const installed = await findPlaywrights();
  if (installed === null)
    throw new Error("Cannot find a Chromium: install one, or set KVASIR_CHROMIUM");
  return installed;
}

function findChromium() {
  for (const name of names) {
    const path = which(name);
    if (path !== null) return path;
  }
  return places.find(isExecutable) ?? null;
}

async function findPlaywrights() {
  const { chromium } = await import("playwright-core");
  const path = chromium.executablePath();
  return existsSync(path) ? path : null;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    process.stdout.write(`${await ensureChromium()}\n`);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}

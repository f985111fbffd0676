// `npm test`: all that must hold, from a fresh checkout. Ends with "N passed, N failed".
//
//   node scripts/test.mjs              set up, kernels from source, then every check
//   node scripts/test.mjs --no-setup   only the checks, on what is there (`npm run ok`)
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "./build.mjs";
import { ensureChromium } from "./ensure-chromium.mjs";
import { ensureModel } from "./ensure-model.mjs";
import { crate } from "./lib/kernels.mjs";
import { bin, root, run, say } from "./lib/run.mjs";
import { findCargo } from "./lib/rust.mjs";
import { checkNode, ensureDependencies } from "./lib/setup.mjs";
import { Steps } from "./lib/steps.mjs";

const steps = new Steps();
const withSetup = !process.argv.includes("--no-setup");
const node = (script, ...args) => run(process.execPath, [script, ...args]);
const env = { ...process.env };

if (withSetup) {
  checkNode();
  await steps.run("dependencies", ensureDependencies);
  if (steps.failed > 0) process.exit(steps.close() ? 0 : 1); // nothing else could run
  await steps.run("kernels from source", () => node("scripts/build-kernels.mjs", "--own"));
  await steps.run("models", ensureModels);
}
await steps.run("Rust tests", cargoTest);
await steps.run("lint", () => node("scripts/lint.mjs"));
await steps.run("types", () => node(bin("tsc"), "-p", "tsconfig.json"));
await steps.run("build", bundle);
const suites = ["package", "runtime", "browser"].filter(hasTests);
if (suites.includes("browser")) {
  await steps.run("Chromium", async () => {
    env["KVASIR_CHROMIUM"] = await ensureChromium();
  });
}
await steps.run(`tests${suites.map((suite) => `, ${suite}`).join("")}`, vitest);
process.exitCode = steps.close() ? 0 : 1;

/** Tests that need a model skip, and are counted as skipped, where it cannot be had. */
async function ensureModels() {
  for (const name of ["smollm2", "gemma3-270m"]) {
    try {
      say(`${name}: ${await ensureModel(name)}`);
    } catch (error) {
      say(error.message);
    }
  }
}

function hasTests(suite) {
  const folder = join(root, "test", suite);
  return (
    existsSync(folder) &&
    readdirSync(folder, { recursive: true }).some((name) => String(name).endsWith(".test.ts"))
  );
}

async function cargoTest() {
  const cargo = findCargo();
  if (cargo === undefined) throw new Error("Cannot find cargo: install rustup (https://rustup.rs)");
  let output = "";
  const tee = (text) => (output += text);
  const counts = () => {
    const lines = [...output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed/gm)];
    const sum = (group) => lines.reduce((total, line) => total + Number(line[group]), 0);
    return { passed: sum(1), failed: sum(2) };
  };
  try {
    await run(cargo, ["test", "--no-fail-fast"], { cwd: crate, tee });
  } finally {
    steps.count(counts());
  }
}

async function vitest() {
  const folder = mkdtempSync(join(tmpdir(), "kvasir-test-"));
  const report = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  try {
    const vitestMain = join(root, "node_modules", "vitest", "vitest.mjs");
    await run(process.execPath, [vitestMain, "run", ...reporters], {
      env: { ...env, KVASIR_SUITES: suites.join(",") },
    });
  } finally {
    if (existsSync(report)) steps.count(vitestCounts(JSON.parse(readFileSync(report, "utf8"))));
    rmSync(folder, { recursive: true });
  }
}

/** A file that fails outside its tests, such as in an import, counts as one. */
function vitestCounts({ numPassedTests, numFailedTests, testResults }) {
  const isBroken = ({ status, assertionResults }) =>
    status === "failed" && !assertionResults.some((test) => test.status === "failed");
  const broken = testResults.filter(isBroken).length;
  return { passed: numPassedTests, failed: numFailedTests + broken };
}

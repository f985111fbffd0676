// The suite as a program of its own, for Node (with the package `webgpu` beside it) and Deno:
//
//   node suite.mjs [options]        deno run -A suite.mjs [options]
//
//   --model FILE   SmolLM2's file (SmolLM2-135M-Instruct.Q4_1.gguf): its prompts are checked too
//   --golden DIR   default: the folder "golden" beside this file
//   --only REGEX   only cases whose names match
//   --quick        what a GPU that is a program gets through in minutes
//   --json FILE    the report
//   --list         only prints the names of the cases
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openGoldenFolder } from "../../cli/golden-folder.ts";
import { nodeRuntime } from "../../src/runtime/node.ts";
import { runSuite, type SuiteCase, suiteNames, type SuiteReport } from "./suite.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    golden: { type: "string", default: fileURLToPath(new URL("./golden", import.meta.url)) },
    only: { type: "string", default: "" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function printCase({ name, ms, nmse, failure }: SuiteCase): void {
  const measured = nmse === null ? "" : nmse.toExponential(1);
  print(
    `${failure === null ? "ok  " : "FAIL"} ${ms.toFixed(0).padStart(6)} ms ${measured.padStart(9)}  ${name}`,
  );
  if (failure !== null) print(`       ${failure.replaceAll("\n", "\n       ")}`);
}

/** Where the program has WebGPU: Deno's own, or Dawn in Node. */
async function openGpu(): Promise<GPU | null> {
  if ("Deno" in globalThis) return navigator.gpu ?? null;
  return ((await nodeRuntime.gpu?.()) ?? null) as GPU | null;
}

/** @returns How many failed. */
function printSummary({ cases, adapter, variants, userAgent, ms }: SuiteReport): number {
  const nFailed = cases.filter(({ failure }) => failure !== null).length;
  const largest = Math.max(0, ...cases.map(({ nmse }) => nmse ?? 0));
  const name = Object.values(adapter).filter(Boolean).join(", ");
  print(`\n${userAgent || `Node ${process.version}`} on ${name}`);
  for (const { name, isUsed, reason } of variants) {
    print(`Variant ${name}: ${isUsed ? "used" : (reason ?? "not used")}`);
  }
  const seconds = (ms / 1000).toFixed(1);
  print(`${cases.length - nFailed} passed, ${nFailed} failed in ${seconds} s`);
  print(`Largest NMSE ${largest.toExponential(1)}`);
  return nFailed;
}

async function main(): Promise<number> {
  const choice = { only: values.only, isQuick: values.quick };
  if (values.list) {
    for (const name of suiteNames(values.model !== undefined, choice)) print(name);
    return 0;
  }
  const host = {
    runtime: nodeRuntime,
    gpu: await openGpu(),
    golden: await openGoldenFolder(values.golden),
    model: values.model ?? null,
  };
  const report = await runSuite(host, { ...choice, onCase: printCase });
  const nFailed = printSummary(report);
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(report));
  if (report.cases.length === 0) print(`No case is named like "${values.only}"`);
  return nFailed > 0 || report.cases.length === 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
process.exit(); // Dawn keeps threads of its own

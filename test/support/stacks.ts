// The WebGPU suite (test/stacks/) as a bundle, and what its reports must hold whatever ran them.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { SuiteReport } from "../stacks/suite.ts";
import { goldenDir } from "./golden.ts";
import { softwareVulkanEnv } from "./software-vulkan.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DENO = join(ROOT, "node_modules", "deno", "bin.cjs");
const COMMANDS = { node: [], deno: [DENO, "run", "--quiet", "--allow-all"] } as const;
/** A suite that lost its cases must not pass. */
const MIN_CASES = 270;
const GROUPS = [
  ...["memory", "errors of the device", "embed", "normProject", "projectAdd", "normGateUp"],
  ...["logits", "argmax", "attend", "measureWindow", "ropeTable", "ropeAppend", "gatherRows"],
  ...["steps", "measure", "draw", "gatherRows then attend: the evicted keys are masked"],
];

interface BundleModule {
  bundleSuite(folder: string): Promise<void>;
}

/** A folder of this checkout that holds the bundle; remove it at the end. */
export async function makeSuite(): Promise<{ folder: string; remove: () => void }> {
  const cache = join(ROOT, ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "suite-"));
  const path = new URL("../../scripts/lib/suite.mjs", import.meta.url).href;
  const { bundleSuite } = (await import(path)) as BundleModule;
  await bundleSuite(folder);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

const run = promisify(execFile);

/** The names of the cases that `options` choose. */
export async function suiteNames(
  folder: string,
  options: readonly string[],
): Promise<readonly string[]> {
  const args = [join(folder, "suite.mjs"), "--list", ...options];
  const { stdout } = await run(process.execPath, args);
  return stdout.trim().split("\n");
}

/** Runs the suite in a program, on the adapter that it finds there. */
export async function runProgram(
  folder: string,
  runtime: keyof typeof COMMANDS,
  options: readonly string[],
  timeout: number,
): Promise<SuiteReport> {
  const json = join(folder, `${runtime}.json`);
  const args = [join(folder, "suite.mjs"), "--golden", goldenDir(), "--json", json, ...options];
  const env = softwareVulkanEnv();
  const said = await run(process.execPath, [...COMMANDS[runtime], ...args], { env, timeout }).then(
    () => "",
    ({ stdout, stderr }: { stdout?: string; stderr?: string }) => `${stderr ?? ""}${stdout ?? ""}`,
  );
  try {
    // Cases that failed are in it.
    return JSON.parse(readFileSync(json, "utf8")) as SuiteReport;
  } catch {
    throw new Error(`The suite gave no report:\n${said.slice(-3000)}`);
  }
}

/** No case failed, and all of `names` ran. */
export function expectPassed(report: SuiteReport, names: readonly string[]): void {
  const failures = report.cases.filter(({ failure }) => failure !== null);
  expect(failures.map(({ name, failure }) => `${name}: ${failure}`)).toEqual([]);
  expect(report.cases.map(({ name }) => name)).toEqual(names);
}

/** The contract of every op is among them. */
export function expectWhole(names: readonly string[]): void {
  expect(names.length).toBeGreaterThanOrEqual(MIN_CASES);
  const groups = new Set(names.map((name) => name.split(" > ")[1]));
  expect(GROUPS.filter((group) => !groups.has(group))).toEqual([]);
  const toys = names.filter((name) => name.startsWith("toys, rows of f32"));
  expect(toys.length).toBe(4);
}

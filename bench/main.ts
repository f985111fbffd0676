// The command line of `npm run bench`: options -> lanes -> rounds -> a record and its tables.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { methodNames } from "../src/compression/registry.ts";
import type { BenchCase, CaseSettings, Variant } from "./cases/case.ts";
import { caseNamed, cases, usualCases } from "./cases/index.ts";
import { contexts } from "./cases/contexts.ts";
import { longChat } from "./cases/long-chat.ts";
import { memory } from "./cases/memory.ts";
import { quality } from "./cases/quality.ts";
import { speed } from "./cases/speed.ts";
import type { JobSettings, Text } from "./job.ts";
import { createLanes, nameThreads } from "./lanes.ts";
import {
  type Commit,
  commitOf,
  describeModel,
  loadAverage,
  thisMachine,
  waitForQuiet,
} from "./machine.ts";
import { kernelSizes } from "./kernel-sizes.ts";
import { checkCoherence } from "./long-chat/bands.ts";
import { longChatParts, longChatReport } from "./long-chat/report.ts";
import { MATRIX, matrixParts, matrixReport } from "./matrix/report.ts";
import { type BenchOptions, readOptions, usage } from "./options.ts";
import { installPeers, type PeerName, peerLane, peerNames } from "./peers.ts";
import { type BenchRecord, createRecord, readRecords, writeRecord } from "./record.ts";
import { readmeParts, renderReport } from "./report.ts";
import { type Lane, runAtOnce, runLanes } from "./runner.ts";
import { chromiumRuntime } from "./runtimes/chromium.ts";
import { denoRuntime, nodeRuntime } from "./runtimes/process.ts";
import type { BenchRuntime } from "./runtimes/runtime.ts";
import { rewriteMarkers } from "./table.ts";

/** What the script around this knows and a bundle does not. */
export interface Host {
  /** The folder that holds package.json. */
  readonly root: string;
  readonly say: (line: string) => void;
  /** Where there is no repository to ask. */
  readonly commit?: Commit;
  readonly ensureChromium: () => Promise<string>;
  /** A model's file by its name. */
  readonly ensureModel: (name: string) => Promise<string>;
  /** A folder of its own with the built package (`dist`, or another) and the workers. */
  readonly prepareRun: (options: {
    readonly packageFolder?: string;
    readonly isBuilt: boolean;
  }) => Promise<string>;
}

/** @returns The exit status. */
export async function main(args: readonly string[], host: Host): Promise<number> {
  const options = readOptions(args);
  switch (options.command) {
    case "help":
      process.stdout.write(usage);
      return 0;
    case "list":
      for (const { name, measures } of cases)
        process.stdout.write(`${name.padEnd(18)} ${measures}\n`);
      return 0;
    case "report":
      return report(options, host);
    default:
      return measure(options, host);
  }
}

function report({ machine, isCheck }: BenchOptions, { root, say }: Host): number {
  const records = readRecords(join(root, "bench", "record"), machine);
  const pages = [
    ["README.md", readmeParts(records)],
    ["docs/long-chat.md", longChatParts(records)],
    ["docs/speed.md", matrixParts(records)],
  ] as const;
  let isStale = false;
  for (const [name, parts] of pages) {
    const path = join(root, name);
    const before = readFileSync(path, "utf8");
    const { text, missing } = rewriteMarkers(before, parts);
    for (const part of missing) say(`${name} has no place for bench:${part}`);
    if (isCheck) {
      const isSame = text === before;
      say(isSame ? `${name} is as the records say` : `${name} is stale: npm run bench -- report`);
      isStale ||= !isSame;
      continue;
    }
    if (text !== before) writeFileSync(path, text);
    say(`${name}: ${Object.keys(parts).length - missing.length} tables from records`);
  }
  return isStale ? 1 : 0;
}

async function measure(options: BenchOptions, host: Host): Promise<number> {
  const { say, root } = host;
  const isFile = options.model.endsWith(".gguf");
  const model = isFile ? resolve(options.model) : await host.ensureModel(options.model);
  const machine = thisMachine(options.machine);
  const text = readText(options, root);
  const { engine, activations, fromStore, rounds } = options;
  const [threads = 1, ...moreThreads] = options.threads;
  const settings: JobSettings = { engine, activations, threads, fromStore, text };
  const described = await describeModel(model);
  const runtimes = await openRuntimes(options, host, model);
  const before = loadAverage();
  const commit = host.commit ?? commitOf(root); // now: the tree may move on during a long run
  const started = new Date();
  try {
    const lanes = await lanesFor(options, host, { runtimes, settings, model });
    const settle = (): Promise<number> => waitForQuiet(options.quietWaitMs);
    const isTimed = !lanes.every((lane) => lane.case === longChat.name);
    const run = isTimed ? runLanes : runAtOnce;
    const records = checkCoherence(await run(lanes, { rounds, settle, say }));
    const record = createRecord({
      what: whatOf(options),
      date: started.toISOString(),
      commit,
      machine,
      model: described,
      settings: {
        ...settings,
        threads: moreThreads.length === 0 ? threads : options.threads,
        text: text?.name ?? "words",
        rounds,
      },
      loadAverage: { before, after: loadAverage() },
      ...(lanes.some((lane) => lane.case === memory.name)
        ? { kernels: kernelSizes([join(root, "dist"), join(root, "package")]) }
        : {}),
      lanes: records,
    });
    process.stdout.write(`${renderOf(record.what)(record)}\n`);
    if (options.isRecorded) {
      say(`Written: ${writeRecord(join(root, "bench", "record"), record)}`);
    }
    const hasFailed = records.some(({ stopped }) => stopped !== null && stopped.kind !== "skipped");
    return hasFailed ? 1 : 0;
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.close()));
  }
}

function renderOf(what: string): (record: BenchRecord) => string {
  if (what === longChat.name) return longChatReport;
  return what === MATRIX ? matrixReport : renderReport;
}

function whatOf({ command, cases: names, fromStore }: BenchOptions): string {
  if (command !== "cases" && fromStore) return `${command}-from-store`;
  if (command !== "cases") return command;
  return names.length === 0 ? "cases" : names.join("-");
}

interface LaneParts {
  readonly runtimes: readonly BenchRuntime[];
  readonly settings: JobSettings;
  readonly model: string;
}

async function lanesFor(
  options: BenchOptions,
  host: Host,
  { runtimes, settings, model }: LaneParts,
): Promise<readonly Lane[]> {
  const caseSettings = caseSettingsOf(options);
  const one = runtimes.slice(0, 1);
  const lanes = chosenCases(options).flatMap((chosen) =>
    createLanes({
      cases: [chosen],
      // Quality is the same on every runtime.
      runtimes: chosen === quality ? one : runtimes,
      caseSettings,
      settings,
      ...extentOf(chosen, options),
    }),
  );
  const names = peerNames.filter((name) => isPeerWanted(name, options));
  if (names.length === 0) return lanes;
  return [...lanes, ...(await peerLanes(names, options, host, { model, caseSettings }))];
}

/** How many threads and rounds a case's lanes have. */
function extentOf(
  chosen: BenchCase,
  { command, threads, longThreads, longRounds }: BenchOptions,
): { readonly threads: readonly number[]; readonly nRounds?: number } {
  const isLong = command === "matrix" && chosen === contexts;
  return isLong ? { threads: longThreads, nRounds: longRounds } : { threads };
}

async function peerLanes(
  names: readonly PeerName[],
  options: BenchOptions,
  host: Host,
  { model, caseSettings }: { readonly model: string; readonly caseSettings: CaseSettings },
): Promise<readonly Lane[]> {
  const folder = installPeers(options.peers ?? join(host.root, "..", "shared", "peers"));
  const browser = options.browser ?? (names.includes("wllama") ? await host.ensureChromium() : "");
  const besides = chosenCases(options).filter((one) => peerCases.has(one.name));
  return besides.flatMap((one) => {
    const { threads, nRounds } = extentOf(one, options);
    const variants = one.variants(caseSettings).filter(isFullCache);
    return threads.flatMap((n) =>
      variants.flatMap((variant) =>
        names
          .filter((name) => canPeer(name, one))
          .map((name) => {
            const isSlow = options.command === "matrix" && name === "wllama";
            const own = isSlow ? options.wllamaRounds : nRounds;
            const rounds = own === undefined ? {} : { nRounds: own };
            const named = threads.length === 1 ? variant : nameThreads(variant, n);
            const peer = { folder, model, threads: n, node: process.execPath, browser };
            return peerLane(name, one, named, { ...peer, ...rounds });
          }),
      ),
    );
  });
}

/** The lanes that other runtimes can run; one of `contexts` has a full cache as well. */
function isFullCache({ params }: Variant): boolean {
  return (params.method ?? "full") === "full" || params.contexts !== undefined;
}

function canPeer(name: PeerName, { name: what }: BenchCase): boolean {
  if (name === "wllama") return what !== contexts.name; // it would take an hour
  return what !== memory.name; // it has no WASM memory
}

/** Cases whose lanes with a full cache other runtimes can run. */
const peerCases = new Set(["speed", "contexts", "decode", "compressed-decode", "memory"]);

function isPeerWanted(name: PeerName, { command, skip, beside }: BenchOptions): boolean {
  return command === "peers" || command === "matrix" ? !skip.includes(name) : beside.includes(name);
}

function chosenCases(options: BenchOptions): readonly BenchCase[] {
  const { command, cases: names } = options;
  if (command === "peers") return [speed];
  if (command === "matrix") return options.longThreads.length === 0 ? [speed] : [speed, contexts];
  if (command === "saved") return [caseNamed("compressed-decode"), quality];
  if (names.length > 0) return names.map(caseNamed);
  return usualCases;
}

function caseSettingsOf(options: BenchOptions): CaseSettings {
  const { contexts, context, budget, prefills, prompt, decode, command } = options;
  const allMethods = options.methods ?? methodNames();
  const few = options.methods ?? ["snapkv", "streaming-llm"];
  const methods = command === "saved" ? allMethods : few;
  // The baseline of every comparison comes first.
  const withFull = ["full", ...allMethods.filter((name) => name !== "full")];
  const promptMethods = options.methods ?? ["snapkv", "streaming-llm", "h2o", "knorm", "keydiff"];
  const lengths = { contexts, context, budget, prefills, prompt, decode };
  return { ...lengths, methods, promptMethods, allMethods: withFull };
}

/** docs/texts holds texts written for this project; the longest one reaches the furthest. */
function readText({ text, command }: BenchOptions, root: string): Text | null {
  if (text === "words" || command === "peers" || command === "matrix") return null;
  if (text !== undefined) return { name: basename(text), text: readFileSync(text, "utf8") };
  const folder = join(root, "docs", "texts");
  if (!existsSync(folder)) return null;
  const longest = readdirSync(folder)
    .filter((name) => name.endsWith(".txt"))
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(b).size - statSync(a).size)[0];
  if (longest === undefined) return null;
  return { name: basename(longest), text: readFileSync(longest, "utf8") };
}

async function openRuntimes(
  options: BenchOptions,
  host: Host,
  model: string,
): Promise<BenchRuntime[]> {
  const { isBuilt } = options;
  const files = { folder: await host.prepareRun({ isBuilt }), model };
  const opened: BenchRuntime[] = [];
  for (const name of options.runtimes) {
    if (name === "node") opened.push(nodeRuntime("kvasir, node", process.execPath, files));
    else if (name === "deno") opened.push(denoRuntime(options.deno ?? denoOf(host), files));
    else if (name === "chromium") {
      const program = options.browser ?? (await host.ensureChromium());
      opened.push(await chromiumRuntime({ program, flags: options.browserFlags }, files));
    } else throw new RangeError(`Cannot find runtime "${name}": use node, deno, chromium`);
  }
  if (options.node !== undefined) {
    opened.push(nodeRuntime(`kvasir, node ${versionOf(options.node)}`, options.node, files));
  }
  if (options.baseline !== undefined) {
    const packageFolder = resolve(options.baseline);
    const folder = await host.prepareRun({ packageFolder, isBuilt: true });
    opened.push(nodeRuntime("kvasir, baseline", process.execPath, { folder, model }));
  }
  return opened;
}

/** "24.21.0"; of a program that is none, its failure. */
function versionOf(program: string): string {
  return execFileSync(program, ["--version"], { encoding: "utf8" }).trim().replace(/^v/, "");
}

function denoOf({ root }: Host): string {
  const path = join(root, "node_modules", ".bin", "deno");
  return existsSync(path) ? path : "deno";
}

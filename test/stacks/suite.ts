// The checks that the engine "webgpu" must pass on every stack of WebGPU: the contract of all ops, the
// toys, and SmolLM2's short prompts where its file is at hand. Runs by itself, in Node, Deno and pages.
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { frequenciesOf } from "../../src/engine/reference/ops.ts";
import { createWebGpuEngine } from "../../src/engine/webgpu/create.ts";
import type { CodecName } from "../../src/engine/engine.ts";
import type { VariantReport } from "../../src/engine/webgpu/variants/self-test.ts";
import type { GoldenFolder } from "../../src/parity/golden.ts";
import { createParityHost } from "../../src/parity/open-model.ts";
import { type Area, runParity } from "../../src/parity/runner.ts";
import type { ModelSource, Runtime } from "../../src/runtime/runtime.ts";
import { attentionContract } from "../contract/engine/attention.ts";
import { bufferContract } from "../contract/engine/buffers.ts";
import { deviceErrorContract } from "../contract/engine/device-errors.ts";
import { denseMaskContract } from "../contract/engine/dense-mask.ts";
import { drawContract } from "../contract/engine/draw.ts";
import { measureContract } from "../contract/engine/measure.ts";
import { projectionContract } from "../contract/engine/projections.ts";
import { rowsContract } from "../contract/engine/rows.ts";
import { stepContract } from "../contract/engine/steps.ts";
import { type Engines, F32_TOLERANCES } from "../contract/rig.ts";
import { noteNmse, observeNmse } from "../support/matchers.ts";
import { shareDevice } from "./shared-gpu.ts";
import * as shim from "./vitest-shim.ts";

/** What the program or page that runs the suite has. */
export interface SuiteHost {
  readonly runtime: Runtime;
  /** Null where there is no WebGPU. */
  readonly gpu: GPU | null;
  /** Toys, and forward passes of SmolLM2. */
  readonly golden: GoldenFolder;
  /** SmolLM2's file; its cases are left out where there is none. */
  readonly model: ModelSource | null;
}

export interface SuiteCase extends shim.CaseReport {
  /** The largest NMSE that the case measured; null where it measures none. */
  readonly nmse: number | null;
}

export interface SuiteReport {
  /** Of the adapter, as far as it tells. */
  readonly adapter: Readonly<Record<string, string>>;
  /** What became of the kernels' variants on it. */
  readonly variants: readonly VariantReport[];
  readonly features: readonly string[];
  readonly userAgent: string;
  readonly cases: readonly SuiteCase[];
  readonly ms: number;
}

export interface SuiteOptions extends SuiteChoice {
  readonly onCase?: (result: SuiteCase) => void;
}

const CODECS: readonly CodecName[] = ["f32", "f16"];
const TOYS = ["toy-llama", "toy-qwen2", "toy-qwen3", "toy-gemma3"];
const PROMPTS = ["p9", "p64"];

const NO_ADAPTER =
  "The WebGPU suite finds no adapter: install Chromium, which brings a Vulkan driver (SwiftShader), or " +
  "the system's loader and drivers (libvulkan1, mesa-vulkan-drivers); in Node also the package webgpu";

/**
 * What a quick run leaves out: heads of sizes between others, and with long compiling or computing all
 * that goes through kernels that another case has been through.
 */
const SLOW = [
  /headDim (32|96|128), nGroups/,
  /> draw from (300|49152) columns: (?!normal)/,
  /^toys, rows of f16 > (?!toy-gemma3)/,
  /^SmolLM2, (?!rows of f32 > p9, logits$)/,
];

/** Which cases run. */
export interface SuiteChoice {
  /** A regular expression for their whole names. Default: all. */
  readonly only?: string;
  /** What a GPU that is a program gets through in minutes. Default: false. */
  readonly isQuick?: boolean;
}

/** The names of the cases, in order. */
export function suiteNames(hasModel: boolean, choice: SuiteChoice = {}): readonly string[] {
  return shim.namesOf(shim.collect(() => register(null, hasModel))).filter(chooser(choice));
}

function chooser({ only = "", isQuick = false }: SuiteChoice): (name: string) => boolean {
  const pattern = new RegExp(only);
  return (name) => pattern.test(name) && !(isQuick && SLOW.some((slow) => slow.test(name)));
}

/**
 * Runs the suite; cases that fail are in the report.
 * @throws Where there is no adapter, with what to install.
 */
export async function runSuite(
  host: SuiteHost,
  { onCase, ...choice }: SuiteOptions = {},
): Promise<SuiteReport> {
  const begin = performance.now();
  const bench = await openBench(host);
  const cases: SuiteCase[] = [];
  let variants: readonly VariantReport[] = [];
  let nmse: number | null = null;
  observeNmse((value) => (nmse = Number.isNaN(value) ? NaN : Math.max(nmse ?? 0, value)));
  await shim.runGroup(
    shim.collect(() => register(bench, host.model !== null, (found) => (variants = found))),
    {
      wants: chooser(choice),
      onCase: (report) => {
        const result = { ...report, nmse };
        nmse = null;
        cases.push(result);
        onCase?.(result);
      },
    },
  );
  observeNmse(null);
  const { info, features } = bench.adapter;
  const { vendor, architecture, device, description } = info;
  return {
    adapter: { vendor, architecture, device, description },
    variants,
    features: [...features].sort(),
    userAgent: globalThis.navigator?.userAgent ?? "",
    cases,
    ms: performance.now() - begin,
  };
}

/** What the cases run on. */
interface Bench extends Omit<SuiteHost, "gpu"> {
  /** Engines on it share a device. */
  readonly gpu: GPU;
  /** Each has a device of its own. */
  readonly plainGpu: GPU;
  readonly adapter: GPUAdapter;
}

async function openBench(host: SuiteHost): Promise<Bench> {
  const { gpu } = host;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (gpu === null || !adapter) throw new Error(NO_ADAPTER);
  return { ...host, gpu: shareDevice(gpu), plainGpu: gpu, adapter };
}

/** @param bench Null where only the names are wanted. */
function register(
  bench: Bench | null,
  hasModel: boolean,
  onVariants: (found: readonly VariantReport[]) => void = () => {},
): void {
  const needBench = (): Bench => {
    if (bench === null) throw new Error("There is nothing to run on");
    return bench;
  };
  registerContract(needBench, onVariants);
  for (const codec of CODECS) {
    const rows = `rows of ${codec}`;
    shim.describe(`toys, ${rows}`, () => {
      for (const toy of TOYS) {
        shim.it(toy, () => checkGolden(bench, "toys", codec, (path) => path.includes(`/${toy}.`)));
      }
    });
    if (!hasModel) continue;
    shim.describe(`SmolLM2, ${rows}`, () => {
      for (const prompt of PROMPTS) {
        const isOf = (path: string): boolean =>
          path.startsWith(`smollm2/forward/${prompt}.`) && !path.includes("internals");
        const quick = bench && { ...bench, golden: withoutText(bench.golden) };
        shim.it(`${prompt}, logits`, () => checkGolden(quick, "forward", codec, isOf));
        shim.it(`${prompt}, logits and text`, () => checkGolden(bench, "forward", codec, isOf));
      }
    });
  }
}

function registerContract(
  bench: () => Bench,
  onVariants: (found: readonly VariantReport[]) => void,
): void {
  let engines: Engines | null = null;
  const use = (): Engines => {
    if (engines === null) throw new Error("The engine was not made");
    return engines;
  };
  shim.describe("contract", () => {
    shim.beforeAll(async () => {
      const oracle = createReferenceEngine();
      const { engine, variants } = await openEngine(bench().gpu);
      onVariants(await variants);
      engines = { engine, oracle, exact: oracle };
    });
    shim.afterAll(() => engines?.engine.dispose());
    shim.describe("memory", () => bufferContract(use));
    shim.describe("errors of the device", () => deviceErrorContract(() => bench().plainGpu));
    projectionContract(use, F32_TOLERANCES);
    attentionContract(use, F32_TOLERANCES);
    rowsContract(use, F32_TOLERANCES);
    shim.describe("steps", () => stepContract(use, F32_TOLERANCES));
    shim.describe("measure", () => measureContract(use));
    shim.describe("draw", () => drawContract(() => use().engine));
    denseMaskContract(() => use().engine);
  });
}

async function openEngine(gpu: GPU) {
  const options = { gpu, ropeFrequencies: frequenciesOf, allowsSoftware: true };
  const result = await createWebGpuEngine(options);
  if ("engine" in result) return result;
  throw new Error(`Cannot make the engine: ${result.refusal}`);
}

/** Without the greedy continuations, which take a step of decoding for each token. */
function withoutText(golden: GoldenFolder): GoldenFolder {
  return {
    ...golden,
    readJson: async (path) => {
      const entry = await golden.readJson(path);
      return typeof entry === "object" ? { ...entry, greedy: undefined } : entry;
    },
  };
}

/** What `kvasir parity` checks, on the goldens whose paths `isOf` accepts. */
async function checkGolden(
  bench: Bench | null,
  area: Area,
  codec: CodecName,
  isOf: (path: string) => boolean,
): Promise<void> {
  if (bench === null) throw new Error("There is nothing to run on");
  const { runtime, gpu, golden, model } = bench;
  const own: Runtime = { ...runtime, gpu: async () => gpu };
  const folder: GoldenFolder = { ...golden, list: async () => (await golden.list()).filter(isOf) };
  const results = runParity(folder, createParityHost(own), {
    ...{ engine: "webgpu", threads: 1, activations: ["f32"], codec, only: [area] },
    findModel: async () => model,
    models: new Map([["smollm2", "SmolLM2"]]),
  });
  const wrong: string[] = [];
  let nPassed = 0;
  for await (const { check, metric, measured, tolerance, status, note } of results) {
    if (metric.endsWith("NMSE") && typeof measured === "number") noteNmse(measured);
    if (status === "pass") nPassed++;
    else if (status !== "info") {
      wrong.push(
        `${check}, ${metric}: ${status}, got ${measured}, wanted ${tolerance} ${note ?? ""}`,
      );
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join("; "));
  // The logits, and at least one of the text's checks.
  if (nPassed < 2) throw new Error(`Only ${nPassed} checks were made`);
}

import { parseArgs } from "node:util";
import type { Activations, EngineName } from "../src/engine/engine.ts";
import { peerNames } from "./peers.ts";

export const usage = `npm run bench -- [COMMAND | CASE ...] [options]

  (no case)         decode, prefill, load, sampling, selection, memory
  CASE ...          those cases; "list" names them
  peers             prefill and decode beside other runtimes, in the same rounds
  saved             bytes, decode speed and quality of every method
  report            the documents' tables from the newest records; --check only compares

  --model FILE|NAME       GGUF file, or a name that scripts/ensure-model.mjs knows (smollm2)
  --runtimes LIST         of node, deno, chromium (default node; peers: node,chromium; matrix: all)
  --node PATH             one more Node beside the current one
  --deno PATH, --browser PATH
  --browser-flags LIST    more flags for Chromium, comma-separated
  --baseline DIR          another built package (a dist folder), measured in Node beside this one
  --engine NAME           auto, wasm, webgpu, reference (default auto)
  --activations NAME      q8 or f32 (default q8; f32 on webgpu and reference)
  --threads LIST          each lane with each number (default 1; matrix: 1,2)
  --from-store            Chromium: load from what the browser keeps
  --rounds N              (default 5; matrix: 2)
  --long-threads LIST     matrix: threads of the lanes that read long texts, or none (default 2)
  --long-rounds N         matrix: their rounds (default 1)
  --wllama-rounds N       matrix: rounds of wllama, which is slow (default 1)
  --contexts LIST         decode: lengths of the context (default 64,1024,4096; matrix: and 750,7500)
  --context N --budget N  compressed cases: tokens read, rows kept (default 4096, 400)
  --prefill LIST          lengths of the prefill case (default 512,4096); peers: the first
  --prompt N --decode N   prompt before the decode (64), tokens decoded (32; peers, matrix: 128)
  --methods LIST          (default snapkv,streaming-llm; saved, memory and selection: all;
                          gpu-prefill: snapkv,streaming-llm,h2o,knorm,keydiff)
  --text FILE|words       prompt text (default: the longest of docs/texts, else words)
  --skip LIST             peers to leave out: native, wllama
  --beside LIST           peers beside the full caches of decode, compressed-decode, memory (wllama)
  --peers DIR             their runners (default ../shared/peers)
  --quiet-wait SECONDS    wait for other programs to leave the cores before each timing (default 0)
  --machine SLUG          name of this machine in the records
  --no-record             print only
  --no-build              measure dist as it is
`;

const specs = {
  model: { type: "string", default: "smollm2" },
  runtimes: { type: "string" },
  node: { type: "string" },
  deno: { type: "string" },
  browser: { type: "string" },
  "browser-flags": { type: "string", default: "" },
  baseline: { type: "string" },
  engine: { type: "string", default: "auto" },
  activations: { type: "string" },
  threads: { type: "string" },
  "long-threads": { type: "string", default: "2" },
  "long-rounds": { type: "string", default: "1" },
  "wllama-rounds": { type: "string", default: "1" },
  "from-store": { type: "boolean", default: false },
  rounds: { type: "string" },
  contexts: { type: "string" },
  context: { type: "string", default: "4096" },
  budget: { type: "string", default: "400" },
  prefill: { type: "string", default: "512,4096" },
  prompt: { type: "string", default: "64" },
  decode: { type: "string" },
  methods: { type: "string" },
  text: { type: "string" },
  skip: { type: "string", default: "" },
  beside: { type: "string", default: "" },
  peers: { type: "string" },
  "quiet-wait": { type: "string", default: "0" },
  machine: { type: "string" },
  "no-record": { type: "boolean", default: false },
  "no-build": { type: "boolean", default: false },
  check: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

export type Command = "cases" | "peers" | "matrix" | "saved" | "report" | "list" | "help";

export interface BenchOptions {
  readonly command: Command;
  readonly cases: readonly string[];
  readonly model: string;
  readonly runtimes: readonly string[];
  readonly node: string | undefined;
  readonly deno: string | undefined;
  readonly browser: string | undefined;
  readonly browserFlags: readonly string[];
  readonly baseline: string | undefined;
  readonly engine: EngineName | "auto";
  readonly activations: Activations;
  readonly threads: readonly number[];
  readonly longThreads: readonly number[];
  readonly longRounds: number;
  readonly wllamaRounds: number;
  readonly fromStore: boolean;
  readonly rounds: number;
  readonly contexts: readonly number[];
  readonly context: number;
  readonly budget: number;
  readonly prefills: readonly number[];
  readonly prompt: number;
  readonly decode: number;
  /** undefined: each case's own choice. */
  readonly methods: readonly string[] | undefined;
  readonly text: string | undefined;
  readonly skip: readonly string[];
  readonly beside: readonly string[];
  readonly peers: string | undefined;
  readonly quietWaitMs: number;
  readonly machine: string | undefined;
  readonly isRecorded: boolean;
  /** The package is taken as it is. */
  readonly isBuilt: boolean;
  readonly isCheck: boolean;
}

const commands = ["peers", "matrix", "saved", "report", "list"] as const;
const engines = ["auto", "wasm", "webgpu", "reference"] as const;
const activations = ["q8", "f32"] as const;

const others = {
  runtimes: "node",
  threads: "1",
  rounds: "5",
  contexts: "64,1024,4096",
  decode: "32",
};
const peers = { ...others, runtimes: "node,chromium", decode: "128" };
const matrix = {
  runtimes: "node,chromium,deno",
  threads: "1,2",
  rounds: "2",
  contexts: "64,750,1024,4096,7500",
  decode: "128",
};
const defaults = { others, peers, matrix } as const;

/** @throws {RangeError | TypeError} For options that make no sense. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values: given, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: specs,
  });
  const named = commands.find((name) => name === positionals[0]);
  if (named !== undefined && positionals.length > 1) {
    throw new RangeError(
      `Cannot run "${named}" with cases, got "${positionals.slice(1).join(" ")}"`,
    );
  }
  const usual = defaults[named === "peers" || named === "matrix" ? named : "others"];
  const values = { ...usual, ...given };
  const wholes = (name: string, value: string): number[] =>
    list(value).map((item) => whole(name, item, 1));
  const engine = choice("engine", values.engine, engines);
  return {
    command: values.help ? "help" : (named ?? "cases"),
    cases: named === undefined ? positionals : [],
    model: values.model,
    runtimes: list(values.runtimes),
    node: values.node,
    deno: values.deno,
    browser: values.browser,
    browserFlags: list(values["browser-flags"]),
    baseline: values.baseline,
    engine,
    activations: choice("activations", values.activations ?? suitable(engine), activations),
    threads: wholes("threads", values.threads),
    longThreads: wholes("long-threads", values["long-threads"].replace(/^none$/, "")),
    longRounds: whole("long-rounds", values["long-rounds"], 1),
    wllamaRounds: whole("wllama-rounds", values["wllama-rounds"], 1),
    fromStore: values["from-store"],
    rounds: whole("rounds", values.rounds, 1),
    contexts: wholes("contexts", values.contexts),
    context: whole("context", values.context, 1),
    budget: whole("budget", values.budget, 1),
    prefills: wholes("prefill", values.prefill),
    prompt: whole("prompt", values.prompt, 1),
    decode: whole("decode", values.decode, 1),
    methods: values.methods === undefined ? undefined : list(values.methods),
    text: values.text,
    skip: list(values.skip),
    beside: list(values.beside).map((name) => choice("beside", name, peerNames)),
    peers: values.peers,
    quietWaitMs: 1000 * whole("quiet-wait", values["quiet-wait"], 0),
    machine: values.machine,
    isRecorded: !values["no-record"],
    isBuilt: values["no-build"],
    isCheck: values.check,
  };
}

/** The engines but wasm compute in f32 and refuse anything else. */
function suitable(engine: EngineName | "auto"): Activations {
  return engine === "webgpu" || engine === "reference" ? "f32" : "q8";
}

function list(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function whole(name: string, value: string, min: number): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= min && value.trim() !== "") return number;
  throw new RangeError(
    `Cannot read --${name}: a whole number from ${min} is needed, got "${value}"`,
  );
}

function choice<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((one) => one === value);
  if (found !== undefined) return found;
  throw new RangeError(`Cannot read --${name}: use ${choices.join(", ")}, got "${value}"`);
}

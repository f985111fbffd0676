import { readFile, writeFile } from "node:fs/promises";
import { createMethod, methodNames, type MethodSpec } from "../src/compression/registry.ts";
import { KvasirError } from "../src/errors.ts";
import { LocalModel } from "../src/session/local-model.ts";
import type { Command, CommandIo } from "./command.ts";
import { heatMapPage } from "./compare-page.ts";
import { comparePrompt, type ComparePrompt } from "./compare-prompt.ts";
import { CompareProgress } from "./compare-progress.ts";
import { type Comparison, comparisonJson, comparisonText, type RunRow } from "./compare-report.ts";
import { type CompareOptions, type FullRun, runFull, runMethod } from "./compare-run.ts";
import { loadMethod } from "./method-file.ts";
import { checkModelOptions, type Load, loadModel, MODEL_OPTIONS } from "./model-options.ts";
import { parseOptions, usageText, UsageError, type OptionSpecs } from "./options.ts";
import type { OptionValues } from "./options.ts";
import { createProgress } from "./progress.ts";

const { model, engine, activations, codec, ...notTaken } = MODEL_OPTIONS;
const {
  method: _method,
  keep: _keep,
  tokens: _tokens,
  bytes: _bytes,
  flow: _flow,
  ...more
} = notTaken;

const OPTIONS = {
  model,
  file: {
    type: "text",
    short: "f",
    value: "FILE",
    help: "Text put before the question (required)",
  },
  question: { type: "text", short: "q", value: "TEXT", help: "The question (required)" },
  methods: {
    type: "text",
    value: "LIST",
    help: "Names with parameters, or ./module.mjs, between commas (default: all)",
  },
  keep: { type: "text", value: "LIST", help: "Fractions that stay (default: 0.5,0.2,0.1)" },
  "max-tokens": {
    type: "integer",
    value: "N",
    min: 1,
    max: 4096,
    help: "Longest answer of the full cache, which all are measured on (default: 32)",
  },
  splitter: {
    type: "choice",
    choices: ["blank-line", "line", "sentence", "Q:"],
    help: "Where the text is cut into examples (default: blank-line)",
  },
  html: { type: "text", value: "FILE", help: "Write which tokens each layer kept, as a page" },
  json: { type: "flag", help: "Print one JSON object in place of the table" },
  ...{ engine, activations, codec, ...more },
} as const satisfies OptionSpecs;

type Values = OptionValues<typeof OPTIONS>;

interface Entry {
  readonly label: string;
  readonly spec: MethodSpec;
}

/** `kvasir compare`: methods and budgets side by side on one prompt. */
export function compareCommand(load: Load): Command {
  return {
    name: "compare",
    summary: "Compare compression methods on a text",
    usage: usageText(
      "kvasir compare --model FILE --file FILE --question TEXT [options]",
      [
        "Reads the text and the question once for each method and fraction, and tells how far the",
        "next token's logits are from the full cache's (NMSE, KL in nats) and how likely the full",
        "cache's own greedy answer still is (perplexity).",
      ].join("\n"),
      OPTIONS,
      [
        'kvasir compare -m model.gguf -f report.txt -q "What changed?"',
        'kvasir compare -m model.gguf -f report.txt -q "What changed?" \\',
        "    --methods snapkv:windowSize=16,h2o,./mine.mjs --keep 0.2 --html kept.html",
      ],
    ),
    run: async (args, io) => {
      const values = parseOptions(OPTIONS, args);
      const { file, question } = values;
      const unused = { method: undefined, keep: undefined, tokens: undefined, bytes: undefined };
      const modelValues = { ...values, ...unused, flow: undefined };
      await checkModelOptions(modelValues);
      if (file === undefined) throw new UsageError("--file is required: a text");
      if (question === undefined) throw new UsageError("--question is required");
      const keeps = keepsOf(values.keep);
      const entries = await entriesOf(values.methods);
      const text = await readText(file);
      const progress = createProgress(io);
      const opened = await loadModel(load, modelValues, io, progress);
      try {
        if (!(opened instanceof LocalModel)) throw new Error("Broken invariant: load is local");
        const prompt = comparePrompt(opened, text, question, values.splitter ?? "blank-line");
        checkLength(opened, prompt, values["max-tokens"] ?? DEFAULT_MAX_TOKENS);
        await compare(opened, prompt, entries, keeps, values, io);
      } finally {
        opened.dispose();
      }
      return 0;
    },
  };
}

const DEFAULT_MAX_TOKENS = 32;

async function compare(
  model: LocalModel,
  prompt: ComparePrompt,
  entries: readonly Entry[],
  keeps: readonly number[],
  values: Values,
  io: CommandIo,
): Promise<void> {
  const jobs = entries.flatMap((entry) =>
    budgetsOf(entry.spec, keeps).map((keep) => ({ ...entry, keep })),
  );
  const progress = new CompareProgress(io, jobs.length + 1);
  const codec = values.codec ?? model.parts.transformer.engine.defaults.codec;
  const { signal } = io;
  const onProgress = (share: number): void => progress.update(share);
  const options: CompareOptions = { model, prompt, codec, signal, onProgress };
  try {
    progress.begin(`full, ${prompt.tokens.length} tokens`);
    const full = await runFull(options, values["max-tokens"] ?? DEFAULT_MAX_TOKENS);
    progress.end();
    const rows: RunRow[] = [];
    for (const { label, spec, keep } of jobs) {
      progress.begin(keep === null ? label : `${label}, keep ${keep}`);
      rows.push(await runRow(options, full, label, spec, keep));
      progress.end();
    }
    progress.finish();
    const comparison: Comparison = {
      ...{ model, prompt, codec, full, rows },
      source: values.model ?? "",
      question: values.question ?? "",
    };
    io.out(values.json ? comparisonJson(comparison) : comparisonText(comparison));
    if (values.html === undefined) return;
    await writeFile(values.html, heatMapPage(comparison));
    io.err(`Wrote ${values.html}: which tokens each layer kept\n`);
  } finally {
    progress.finish();
  }
}

/** A method that cannot run on this model or prompt gets a row that says why. */
async function runRow(
  options: CompareOptions,
  full: FullRun,
  method: string,
  spec: MethodSpec,
  keep: number | null,
): Promise<RunRow> {
  try {
    const run = await runMethod(options, full, spec, keep === null ? undefined : { keep });
    return { method, keep, run };
  } catch (error) {
    if (!(error instanceof KvasirError) || error.code === "aborted") throw error;
    return { method, keep, refused: error.message };
  }
}

function budgetsOf(spec: MethodSpec, keeps: readonly number[]): readonly (number | null)[] {
  return createMethod(spec).capabilities.budget === "none" ? [null] : keeps;
}

function keepsOf(text = "0.5,0.2,0.1"): number[] {
  return text.split(",").map((part) => {
    const keep = part.trim() === "" ? NaN : Number(part);
    if (keep > 0 && keep <= 1) return keep;
    throw new UsageError(`--keep must be fractions above 0 and at most 1, got "${text}"`);
  });
}

/** `a,b:x=1,y=2,c`: a part that reads KEY=VALUE goes on with the method before it. */
async function entriesOf(text = "all"): Promise<Entry[]> {
  const labels: string[] = [];
  for (const part of text.split(",").map((one) => one.trim())) {
    const last = labels.at(-1);
    if (last !== undefined && /^\w+=/.test(part)) labels.push(`${labels.pop()},${part}`);
    // The full cache is the baseline, in the table's first row.
    else if (part === "all") labels.push(...methodNames().filter((name) => name !== "full"));
    else if (part !== "full") labels.push(part);
  }
  const distinct = [...new Set(labels)];
  if (distinct.length === 0) throw new UsageError("--methods must name a method besides full");
  return Promise.all(distinct.map(async (label) => ({ label, spec: await loadMethod(label) })));
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot read --file: ${why}`, { cause });
  }
}

function checkLength(model: LocalModel, prompt: ComparePrompt, maxTokens: number): void {
  const { contextLength } = model.config;
  const nTokens = prompt.tokens.length;
  if (nTokens + maxTokens <= contextLength) return;
  throw new KvasirError(
    "bad-option",
    `Cannot compare: the prompt holds ${nTokens} tokens and the answer up to ${maxTokens}, ` +
      `the model's context is ${contextLength}`,
  );
}

import { readFile } from "node:fs/promises";
import { KvasirError } from "../src/errors.ts";
import type { MethodSpec } from "../src/compression/registry.ts";
import type { FinishReason, GenerateInput, Model, Session, SessionUsage } from "../src/types.ts";
import type { Command, CommandIo } from "./command.ts";
import { inputOf, readText } from "./input.ts";
import { isDefinition } from "./method-file.ts";
import {
  ANSWER_OPTIONS,
  checkModelOptions,
  generateOptions,
  type Load,
  loadModel,
  MODEL_OPTIONS,
  sessionOptions,
} from "./model-options.ts";
import { budgetOf, parseOptions, usageText, UsageError, type OptionSpecs } from "./options.ts";
import type { OptionValues } from "./options.ts";
import { createProgress, type Progress } from "./progress.ts";
import { type RunFacts, summaryText } from "./summary.ts";

const OPTIONS = {
  ...MODEL_OPTIONS,
  prompt: { type: "text", short: "p", value: "TEXT", help: "The question (required)" },
  file: { type: "text", short: "f", value: "FILE", help: "Text put before the question" },
  restore: { type: "text", value: "FILE", help: "Go on from a session saved by kvasir press" },
  system: { type: "text", value: "TEXT", help: "System message" },
  ...ANSWER_OPTIONS,
  raw: { type: "flag", help: "Give the text as it is, without the chat template" },
  json: { type: "flag", help: "Print one JSON object in place of the stream" },
} as const satisfies OptionSpecs;

type Values = OptionValues<typeof OPTIONS>;

/** `kvasir run`: one prompt, one answer on standard output, a summary on standard error. */
export function runCommand(load: Load): Command {
  return {
    name: "run",
    summary: "Answer one prompt",
    usage: usageText(
      "kvasir run --model FILE --prompt TEXT [options]",
      "Streams the answer to standard output; progress and a summary go to standard error.",
      OPTIONS,
      [
        'kvasir run -m model.gguf -p "What is a raven?"',
        'kvasir run -m model.gguf -f report.txt -p "Sum it up" --method snapkv --keep 0.2',
        'kvasir run -m model.gguf --restore report.kvasir -p "Who wrote it?"',
      ],
    ),
    run: async (args, io) => {
      const values = parseOptions(OPTIONS, args);
      const method = await checkModelOptions(values);
      if (values.prompt === undefined) throw new UsageError("--prompt is required");
      checkRestore(values, method);
      if (values.raw && values.system !== undefined) {
        throw new UsageError("--system needs the chat template, which --raw leaves out");
      }
      const text = await promptText(values.prompt, values.file);
      const progress = createProgress(io);
      const model = await loadModel(load, values, io, progress);
      try {
        const input = inputOf(model, text, values, io);
        const session = await openSession(model, values, method);
        // A restored session has read more, and may drop some of it.
        if (values.restore === undefined) checkLength(model, input);
        await answer(model, session, input, values, io, progress);
      } finally {
        progress.finish();
        model.dispose();
      }
      return 0;
    },
  };
}

async function promptText(prompt: string, file: string | undefined): Promise<string> {
  return file === undefined ? prompt : `${(await readText(file)).trimEnd()}\n\n${prompt}`;
}

/** What the saved session has decided already. */
const SAVED = ["keep", "tokens", "bytes", "codec", "flow", "system"] as const;

function checkRestore(values: Values, method: MethodSpec | undefined): void {
  if (values.restore === undefined) return;
  const given = SAVED.find((name) => values[name] !== undefined);
  if (given !== undefined) throw new UsageError(`--${given} is the saved session's; leave it out`);
  if (method === undefined || isDefinition(method)) return;
  throw new UsageError("--method is the saved session's; only a module of your own is needed");
}

async function openSession(
  model: Model,
  values: Values,
  method: MethodSpec | undefined,
): Promise<Session> {
  if (values.restore === undefined) return model.session(sessionOptions(values, method));
  const bytes = await readFile(values.restore).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot read --restore: ${why}`, { cause });
  });
  return model.restore(bytes, isDefinition(method) ? { methods: [method] } : {});
}

/** @throws {KvasirError} `bad-option` with both numbers when the prompt leaves no room to answer. */
function checkLength(model: Model, input: GenerateInput): void {
  const isText = typeof input === "string";
  if (!isText && "tokens" in input) return;
  const text = isText ? input : (model.chatTemplate?.render(input) ?? "");
  const nTokens = model.tokenizer.encode(text, { parseSpecial: !isText, addBos: isText }).length;
  const { contextLength } = model.config;
  if (nTokens < contextLength) return;
  throw new KvasirError(
    "bad-option",
    `Cannot run the prompt: it holds ${nTokens} tokens, the model's context is ${contextLength}`,
  );
}

async function answer(
  model: Model,
  session: Session,
  input: GenerateInput,
  values: Values,
  io: CommandIo,
  progress: Progress,
): Promise<void> {
  let done: { text: string; usage: SessionUsage; reason: FinishReason } | undefined;
  // `done.text` is the whole answer; what was streamed can lag behind it by a held-back stop text.
  let shown = "";
  for await (const event of session.generate(input, generateOptions(values, io.signal))) {
    if (event.type === "prefill") {
      const { nLayers } = model.config;
      progress.update({
        phase: "prefill",
        done: event.done / nLayers,
        total: event.total / nLayers,
        unit: "tokens",
      });
    } else if (event.type === "token") {
      if (shown === "") progress.finish();
      shown += event.text;
      if (!values.json) io.out(event.text);
    } else if (event.type === "done") done = event;
  }
  progress.finish();
  if (done === undefined) throw new KvasirError("aborted", "Cannot finish the answer: it was cut");
  const facts: RunFacts = {
    model,
    method: values.restore === undefined ? (values.method ?? "full") : "as saved",
    budget: budgetOf(values),
    usage: done.usage,
  };
  if (values.json) {
    io.out(`${JSON.stringify(jsonOf(facts, done.text, done.reason), null, 2)}\n`);
    return;
  }
  if (done.text.startsWith(shown)) io.out(done.text.slice(shown.length));
  if (!done.text.endsWith("\n")) io.out("\n");
  io.err(`\n${summaryText(facts, io)}`);
}

function jsonOf(facts: RunFacts, text: string, reason: FinishReason): object {
  const { cache, timing, tokens } = facts.usage;
  return {
    text,
    reason,
    tokens: { prompt: tokens.prompt, completion: tokens.completion },
    cache: {
      fullBytes: cache.fullBytes,
      bytes: cache.bytes,
      peakBytes: cache.peakBytes,
      keptRows: cache.keptRows,
      fullRows: cache.fullRows,
      perLayer: cache.perLayer.map(({ bytes, rows }) => ({ bytes, rows: [...rows] })),
    },
    timing: {
      loadMs: facts.model.loadMs,
      timeToFirstTokenMs: timing.timeToFirstTokenMs,
      prefillTokensPerSecond: timing.prefillTokensPerSecond,
      decodeTokensPerSecond: timing.decodeTokensPerSecond,
    },
    engine: facts.model.engine.name,
    activations: facts.model.engine.activations,
    threads: facts.model.engine.nThreads,
    method: facts.method,
    budget: facts.budget ?? null,
  };
}

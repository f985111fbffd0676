import { writeFile } from "node:fs/promises";
import { KvasirError } from "../src/errors.ts";
import type { Model, Session } from "../src/types.ts";
import type { Command, CommandIo } from "./command.ts";
import { formatBytes } from "./format.ts";
import { inputOf, readText } from "./input.ts";
import {
  checkModelOptions,
  type Load,
  loadModel,
  MODEL_OPTIONS,
  sessionOptions,
} from "./model-options.ts";
import {
  budgetOf,
  type OptionSpecs,
  type OptionValues,
  parseOptions,
  usageText,
  UsageError,
} from "./options.ts";
import { createProgress, type Progress } from "./progress.ts";
import { cacheText } from "./summary.ts";

const OPTIONS = {
  ...MODEL_OPTIONS,
  file: { type: "text", short: "f", value: "FILE", help: "Text to read (required)" },
  output: { type: "text", short: "o", value: "FILE", help: "Where the session goes (required)" },
  system: { type: "text", value: "TEXT", help: "System message" },
  raw: { type: "flag", help: "Give the text as it is, without the chat template" },
  json: { type: "flag", help: "Print one JSON object on standard output" },
} as const satisfies OptionSpecs;

type Values = OptionValues<typeof OPTIONS>;

/** `kvasir press`: a text to a saved session, that `kvasir run --restore` asks. */
export function pressCommand(load: Load): Command {
  return {
    name: "press",
    summary: "Read and compress a text for questions that come later",
    usage: usageText(
      "kvasir press --model FILE --file FILE --output FILE [options]",
      "Reads the text once, keeps what the method chooses without a question, and saves the session.",
      OPTIONS,
      [
        "kvasir press -m model.gguf -f report.txt --method expected-attention --keep 0.3 -o report.kvasir",
        'kvasir run -m model.gguf --restore report.kvasir -p "Who wrote it?"',
      ],
    ),
    run: async (args, io) => {
      const values = parseOptions(OPTIONS, args);
      const method = await checkModelOptions(values);
      const { file, output } = values;
      if (file === undefined) throw new UsageError("--file is required");
      if (output === undefined) throw new UsageError("--output is required");
      if (values.raw && values.system !== undefined) {
        throw new UsageError("--system needs the chat template, which --raw leaves out");
      }
      const text = await readText(file);
      const progress = createProgress(io);
      const model = await loadModel(load, values, io, progress);
      try {
        const session = model.session(sessionOptions(values, method));
        await read(model, session, text, values, io, progress);
        const bytes = new Uint8Array(await (await session.save()).arrayBuffer());
        await write(output, bytes);
        tell(session, bytes.length, output, values, io);
      } finally {
        progress.finish();
        model.dispose();
      }
      return 0;
    },
  };
}

async function read(
  model: Model,
  session: Session,
  text: string,
  values: Values,
  io: CommandIo,
  progress: Progress,
): Promise<void> {
  const { nLayers } = model.config;
  await session.read(inputOf(model, text, values, io), {
    signal: io.signal,
    onProgress: (event) => {
      if (event.type !== "prefill") return;
      const [done, total] = [event.done / nLayers, event.total / nLayers];
      progress.update({ phase: "prefill", done, total, unit: "tokens" });
    },
  });
  progress.finish();
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvasirError("not-found", `Cannot write --output: ${why}`, { cause });
  }
}

function tell(
  session: Session,
  fileBytes: number,
  output: string,
  values: Values,
  io: CommandIo,
): void {
  const usage = session.usage();
  if (!values.json) {
    io.err(`${cacheText(usage, io)}saved  ${formatBytes(fileBytes)} in ${output}\n`);
    return;
  }
  const { fullBytes, bytes, peakBytes, keptRows, fullRows } = usage.cache;
  const told = {
    output,
    fileBytes,
    tokens: usage.tokens.prompt,
    cache: { fullBytes, bytes, peakBytes, keptRows, fullRows },
    prefillTokensPerSecond: usage.timing.prefillTokensPerSecond,
    method: values.method ?? "full",
    budget: budgetOf(values) ?? null,
  };
  io.out(`${JSON.stringify(told, null, 2)}\n`);
}

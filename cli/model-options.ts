// The options that `run` and `chat` share: which model, how it is run, how the answer is drawn.
import type { MethodSpec } from "../src/compression/registry.ts";
import type { ModelSource } from "../src/runtime/runtime.ts";
import type {
  GenerateOptions,
  LoadOptions,
  LoadProgress,
  Model,
  SessionOptions,
} from "../src/types.ts";
import type { CommandIo } from "./command.ts";
import { loadMethod } from "./method-file.ts";
import { budgetOf, UsageError, type OptionSpecs, type OptionValues } from "./options.ts";
import type { Progress } from "./progress.ts";

/** `load` of the library, handed in so that commands run in tests without a model. */
export type Load = (source: ModelSource, options?: LoadOptions) => Promise<Model>;

export const MODEL_OPTIONS = {
  model: { type: "text", short: "m", value: "FILE", help: "GGUF file or URL (required)" },
  method: {
    type: "text",
    value: "NAME",
    help: "Compression method or ./module.mjs, with parameters as NAME:KEY=VALUE,... (default: full)",
  },
  keep: {
    type: "number",
    value: "FRACTION",
    min: 0,
    max: 1,
    isAboveMin: true,
    help: "Budget: fraction of the cache that stays, such as 0.2",
  },
  tokens: { type: "integer", value: "N", min: 1, help: "Budget: tokens per kv head" },
  bytes: { type: "bytes", value: "SIZE", help: "Budget: size of the whole cache, 64MB or 10MiB" },
  engine: {
    type: "choice",
    choices: ["auto", "webgpu", "wasm", "reference"],
    help: "What computes (default: auto)",
  },
  activations: {
    type: "choice",
    choices: ["q8", "f32"],
    help: "q8 is fast, f32 exact (default: q8, f32 on a GPU)",
  },
  threads: {
    type: "integer",
    value: "N",
    min: 1,
    max: 64,
    help: "Threads of the engine wasm (default: the physical cores, at most 8)",
  },
  tuning: {
    type: "choice",
    choices: ["auto", "off"],
    help: "auto: the first load on a GPU times a few sizes of its kernels (default)",
  },
  codec: {
    type: "choice",
    choices: ["f16", "q8", "f32"],
    help: "How cache rows are stored; q8 takes half of f16 (default: f16)",
  },
  flow: {
    type: "choice",
    choices: ["strict", "usual"],
    help: "strict: the first answer token sees the compressed cache (default)",
  },
} as const satisfies OptionSpecs;

export const ANSWER_OPTIONS = {
  "max-tokens": { type: "integer", value: "N", min: 1, help: "Longest answer (default: 256)" },
  temperature: { type: "number", value: "X", min: 0, max: 100, help: "0 is greedy (default: 0)" },
  "top-k": { type: "integer", value: "N", min: 1, help: "Draw from the N likeliest tokens" },
  "top-p": {
    type: "number",
    value: "X",
    min: 0,
    max: 1,
    isAboveMin: true,
    help: "Draw from the likeliest tokens that hold X of the probability",
  },
  "min-p": {
    type: "number",
    value: "X",
    min: 0,
    max: 1,
    help: "Drop tokens below X times the likeliest",
  },
  "repeat-penalty": {
    type: "number",
    value: "X",
    min: 0,
    isAboveMin: true,
    help: "Above 1 makes repetition less likely",
  },
  seed: {
    type: "integer",
    value: "N",
    min: 0,
    max: 4_294_967_295,
    help: "Of the random draw (default: 0)",
  },
  stop: {
    type: "text",
    value: "TEXT",
    multiple: true,
    help: "Ends the answer; may be given more than once",
  },
} as const satisfies OptionSpecs;

type ModelValues = OptionValues<typeof MODEL_OPTIONS>;
type AnswerValues = OptionValues<typeof ANSWER_OPTIONS>;

/**
 * Before a model is loaded: what can be said without it.
 *
 * @returns The method, undefined for the default.
 * @throws {UsageError} No model; two budgets; a budget without a method.
 * @throws {KvasirError} `not-found` for the method's name or file, `bad-option` for its parameters.
 */
export async function checkModelOptions(values: ModelValues): Promise<MethodSpec | undefined> {
  if (values.model === undefined) throw new UsageError("--model is required: a GGUF file or URL");
  if (budgetOf(values) !== undefined && values.method === undefined) {
    throw new UsageError("A budget needs a method, such as --method snapkv");
  }
  return values.method === undefined ? undefined : loadMethod(values.method);
}

export async function loadModel(
  load: Load,
  values: ModelValues,
  io: CommandIo,
  progress: Progress,
): Promise<Model> {
  try {
    return await load(values.model ?? "", {
      runtime: io.runtime,
      signal: io.signal,
      onProgress: (step: LoadProgress) => {
        progress.update({
          phase: step.phase,
          done: step.bytes,
          total: step.totalBytes,
          unit: "bytes",
        });
      },
      ...(values.engine === undefined ? {} : { engine: values.engine }),
      ...(values.activations === undefined ? {} : { activations: values.activations }),
      ...(values.threads === undefined ? {} : { threads: values.threads }),
      ...(values.tuning === undefined ? {} : { tuning: values.tuning }),
    });
  } finally {
    progress.finish();
  }
}

export function sessionOptions(values: ModelValues, method?: MethodSpec): SessionOptions {
  const budget = budgetOf(values);
  return {
    ...(method === undefined ? {} : { method }),
    ...(budget === undefined ? {} : { budget }),
    ...(values.codec === undefined ? {} : { codec: values.codec }),
    ...(values.flow === undefined ? {} : { flow: values.flow }),
  };
}

export function generateOptions(values: AnswerValues, signal: AbortSignal): GenerateOptions {
  const { temperature, seed } = values;
  return {
    signal,
    ...(values["max-tokens"] === undefined ? {} : { maxTokens: values["max-tokens"] }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(values["top-k"] === undefined ? {} : { topK: values["top-k"] }),
    ...(values["top-p"] === undefined ? {} : { topP: values["top-p"] }),
    ...(values["min-p"] === undefined ? {} : { minP: values["min-p"] }),
    ...(values["repeat-penalty"] === undefined
      ? {}
      : { repetitionPenalty: values["repeat-penalty"] }),
    ...(seed === undefined ? {} : { seed }),
    ...(values.stop.length === 0 ? {} : { stop: values.stop }),
  };
}

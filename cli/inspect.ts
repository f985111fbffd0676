// `kvasir inspect`: prints what a GGUF file holds and what its KV cache costs. Reads headers only.
import { parseSharded } from "../src/gguf/shards.ts";
import type { Command, CommandIo } from "./command.ts";
import { describeGguf, type InspectReport, type TokenFacts } from "./describe-gguf.ts";
import { formatBytes, formatCount } from "./format.ts";
import { type OptionSpecs, parseOptions, UsageError, usageText } from "./options.ts";

const OPTIONS = {
  model: {
    type: "text",
    short: "m",
    value: "FILE",
    help: "GGUF file or URL; also without --model",
  },
  json: { type: "flag", help: "Print one JSON object" },
} as const satisfies OptionSpecs;

export const inspectCommand: Command = {
  name: "inspect",
  summary: "Show what a GGUF file holds",
  usage: usageText(
    "kvasir inspect FILE [options]",
    "Shows the sizes, tensors and tokenizer of a model, and what its KV cache costs.\n" +
      "Reads the header only. Of a sharded model give the first file.",
    OPTIONS,
    ["kvasir inspect model.gguf", "kvasir inspect model-00001-of-00003.gguf --json"],
  ),
  run: inspect,
};

/** @returns 0; a file that kvasir cannot run is described all the same, with the reason. */
export async function inspect(args: string[], io: CommandIo): Promise<number> {
  const [first, ...rest] = args;
  const isBare = first !== undefined && !first.startsWith("-");
  const values = parseOptions(OPTIONS, isBare ? rest : args);
  const path = isBare ? first : values.model;
  if (path === undefined) throw new UsageError("A GGUF file or URL is required");
  if (isBare && values.model !== undefined) throw new UsageError("Give one file, not two");
  const { signal } = io;
  const open = (name: string) => io.runtime.openByteSource(name, { signal });
  const source = await open(path);
  try {
    const gguf = await parseSharded(source, open, { name: path, signal });
    const report = describeGguf(gguf);
    await Promise.all(gguf.sources.slice(1).map((shard) => shard.close?.()));
    io.out(values.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  } finally {
    await source.close?.();
  }
  return 0;
}

/** The report as lines of label and value. */
export function formatReport(report: InspectReport): string {
  const { file, tensors } = report;
  const shards = file.shards > 1 ? `, ${file.shards} files` : "";
  const rows: [string, string][] = [
    ["file", `${file.name} (${formatBytes(file.bytes)}${shards}, GGUF ${file.ggufVersion})`],
    ["name", report.name ?? "none"],
    ["architecture", report.architecture ?? "none"],
    ["license", report.license ?? "none"],
    [
      "parameters",
      `${formatParameters(report.parameters)} in ${formatCount(tensors.count)} tensors`,
    ],
    ...tensors.types.map(({ type, count, bytes }, i): [string, string] => [
      i === 0 ? "tensor types" : "",
      `${type.padEnd(7)}${formatCount(count).padStart(5)}  ${formatBytes(bytes).padStart(9)}`,
    ]),
    ...modelRows(report.model),
    ...tokenizerRows(report),
    ...cacheRows(report),
    ...report.problems.map((problem): [string, string] => ["problem", problem]),
  ];
  return rows.map(([label, value]) => `${label.padEnd(14)}${visible(value)}\n`).join("");
}

function modelRows(model: InspectReport["model"]): [string, string][] {
  if (!model) return [];
  const features = [
    model.hasBias ? "biases" : "",
    model.hasQkNorm ? "q/k norm" : "",
    model.hasPostNorm ? "post norms" : "",
    model.isTied ? "tied output" : "",
    model.hasRopeFactors ? "rope factors" : "",
  ].filter((feature) => feature !== "");
  const scale = model.ropeScale === 1 ? "" : `, scaled by ${model.ropeScale}`;
  const rows: [string, string][] = [
    [
      "layers",
      `${model.nLayers} of hidden size ${model.hiddenSize}, ` +
        `FFN ${model.ffnSize} (${model.activation})`,
    ],
    ["heads", `${model.nHeads}, ${model.nKvHeads} kv heads, head dim ${model.headDim}`],
    ["context", `${formatCount(model.contextLength)} tokens`],
    ["rope", `base ${formatCount(model.ropeBase)}, ${model.ropeStyle}${scale}`],
  ];
  if (model.nSlidingLayers > 0) {
    rows.push([
      "sliding",
      `${model.nSlidingLayers} of ${model.nLayers} layers see ` +
        `${formatCount(model.slidingWindow)} tokens`,
    ]);
  }
  if (features.length > 0) rows.push(["features", features.join(", ")]);
  return rows;
}

function tokenizerRows({ tokenizer, chatTemplate }: InspectReport): [string, string][] {
  const rows: [string, string][] = [];
  if (tokenizer) {
    const pre = tokenizer.pre === null ? "" : ` (${tokenizer.pre})`;
    const bosRule =
      tokenizer.addsBos === null ? "" : tokenizer.addsBos ? ", put in front" : ", not put in front";
    rows.push(
      [
        "tokenizer",
        `${tokenizer.model ?? "none"}${pre}, ${formatCount(tokenizer.vocabSize)} tokens`,
      ],
      ["bos", `${formatToken(tokenizer.bos)}${tokenizer.bos ? bosRule : ""}`],
      ["eos", formatToken(tokenizer.eos)],
    );
  } else {
    rows.push(["tokenizer", "none"]);
  }
  const template = chatTemplate
    ? `${formatCount(chatTemplate.characters)} characters: ${clip(chatTemplate.firstLine, 60)}`
    : "none";
  rows.push(["chat template", template]);
  return rows;
}

function cacheRows({ cache, model }: InspectReport): [string, string][] {
  if (!cache || !model) return [];
  const context = formatCount(model.contextLength);
  return cache.codecs.map(({ codec, perToken, perTokenPastWindow, fullContext }, i) => {
    const later =
      model.nSlidingLayers > 0 ? ` (${formatBytes(perTokenPastWindow)} past the window)` : "";
    const full = `${formatBytes(fullContext)} at ${context}`;
    const costs = `${formatBytes(perToken)} a token${later}, ${full}`;
    return [i === 0 ? "kv cache" : "", `${codec.padEnd(4)}${costs}`];
  });
}

function formatToken(token: TokenFacts | null): string {
  if (!token) return "none";
  return token.text === null ? `${token.id} (not in the vocabulary)` : `${token.id} ${token.text}`;
}

/** "135 M": parameters are counted in thousands, not in KiB. */
function formatParameters(count: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (count >= size) return `${(count / size).toFixed(count >= 100 * size ? 0 : 2)} ${unit}`;
  }
  return String(count);
}

/** Text of a file must not steer the terminal: control characters are shown as escapes. */
function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}...` : text;
}

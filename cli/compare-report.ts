// A comparison as a table and as JSON.
import type { CodecName } from "../src/engine/engine.ts";
import type { LocalModel } from "../src/session/local-model.ts";
import type { ComparePrompt } from "./compare-prompt.ts";
import type { FullRun, MethodRun } from "./compare-run.ts";
import { formatBytes, formatCount, formatMs, formatPercent } from "./format.ts";
import { textTable } from "./text-table.ts";

/** A method at a budget: what it did, or why it could not. */
export type RunRow = {
  /** As typed. */
  readonly method: string;
  /** null: the method takes no budget. */
  readonly keep: number | null;
} & ({ readonly run: MethodRun } | { readonly refused: string });

export interface Comparison {
  readonly model: LocalModel;
  /** File or URL of the model, as typed. */
  readonly source: string;
  readonly question: string;
  readonly prompt: ComparePrompt;
  readonly codec: CodecName;
  readonly full: FullRun;
  readonly rows: readonly RunRow[];
}

const COLUMNS = [
  { title: "method" },
  ...["keep", "cache", "kept", "NMSE", "KL", "perplexity", "prompt", "per token"].map((title) => ({
    title,
    isNumber: true,
  })),
];

/** The full cache, then every method by fraction; reasons and notes below. */
export function comparisonText(comparison: Comparison): string {
  const { model, prompt, full, rows, codec } = comparison;
  const first = ["full", "", ...heldCells(full, ""), ...timeCells(full, full.answer.length)];
  const cells = rows.map((row) => {
    const head = [row.method, row.keep === null ? "" : String(row.keep)];
    if ("refused" in row) return [...head, "refused"];
    const { run } = row;
    const errors = [formatError(run.nmse), formatError(run.kl)];
    return [...head, ...heldCells(run, errors), ...timeCells(run, full.answer.length)];
  });
  const { name, activations } = model.engine;
  return [
    `${formatCount(prompt.tokens.length)} tokens, ${name} ${activations}, rows in ${codec}. ` +
      `The full cache answers: ${JSON.stringify(answerText(comparison))}\n\n`,
    textTable(COLUMNS, [first, ...cells]),
    notesText(rows),
  ].join("");
}

export function answerText({ model, full }: Pick<Comparison, "model" | "full">): string {
  return model.tokenizer.decode(full.answer, { keepSpecial: false });
}

function heldCells(held: FullRun | MethodRun, errors: readonly string[] | ""): string[] {
  const share = held.keptRows / held.fullRows;
  const shown = errors === "" ? ["", ""] : errors;
  return [formatBytes(held.bytes), formatPercent(share), ...shown, formatFigure(held.perplexity)];
}

function timeCells({ promptMs, answerMs }: FullRun | MethodRun, nTokens: number): string[] {
  // The first token of the answer comes with the prompt.
  return [formatMs(promptMs), nTokens < 2 ? "-" : formatMs(answerMs / (nTokens - 1))];
}

/** Two figures are all that an error needs. */
function formatError(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  return value < 0.001 ? value.toExponential(1) : value.toFixed(value < 0.1 ? 4 : 3);
}

function formatFigure(value: number): string {
  return value < 1e4 ? value.toPrecision(4) : value.toExponential(2);
}

/** Each reason and note once, with the rows that it is of. */
function notesText(rows: readonly RunRow[]): string {
  const notes = new Map<string, string[]>();
  for (const row of rows) {
    const where = row.keep === null ? row.method : `${row.method} ${row.keep}`;
    const texts = "refused" in row ? [row.refused] : row.run.notes;
    for (const text of texts) notes.set(text, [...(notes.get(text) ?? []), where]);
  }
  if (notes.size === 0) return "";
  return `\n${[...notes].map(([text, where]) => `${where.join(", ")}: ${text}\n`).join("")}`;
}

export function comparisonJson(comparison: Comparison): string {
  const { model, source, question, prompt, codec, full, rows } = comparison;
  const { bytes, keptRows, fullRows, perplexity, promptMs, answerMs } = full;
  const json = {
    model: source,
    engine: model.engine.name,
    activations: model.engine.activations,
    codec,
    question,
    prompt: { tokens: prompt.tokens.length, segments: prompt.segments },
    answer: { text: answerText(comparison), tokens: full.answer },
    full: { bytes, rows: keptRows, fullRows, perplexity, promptMs, answerMs },
    runs: rows.map((row) => {
      const { method, keep } = row;
      if ("refused" in row) return { method, keep, refused: row.refused };
      const { run } = row;
      return {
        ...{ method, keep },
        cacheBytes: run.bytes,
        keptRows: run.keptRows,
        kept: run.keptRows / run.fullRows,
        // JSON has no Infinity, and null would read as "not measured".
        nmse: finite(run.nmse),
        kl: finite(run.kl),
        perplexity: finite(run.perplexity),
        promptMs: run.promptMs,
        answerMs: run.answerMs,
        rowsPerLayer: run.kept.map((heads) => heads.map((positions) => positions.length)),
        keptMass: run.keptMass,
        notes: run.notes,
      };
    }),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function finite(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

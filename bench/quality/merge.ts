// Partial results put together: accuracies with their errors, beside the study's, as a record and tables.
import type { Commit, Machine } from "../machine.ts";
import { renderTable } from "../table.ts";
import { FAMILIES, type Family } from "./families.ts";
import { CONTESTANTS, FULL, KEEPS } from "./methods.ts";
import type { PartialResults, PromptResult, RunSettings } from "./partial.ts";
import { median } from "../statistics.ts";
import { type Accuracy, accuracy, deviation } from "./score.ts";
import { STUDY, STUDY_KEEPS } from "./study.ts";

/** Above that many standard errors of the difference, one of the two is wrong. */
export const MAX_DEVIATION = 3;

export interface MergedRow extends Accuracy {
  readonly label: string;
  readonly keep: number;
  /** Mean over the prompts: rows that were really kept. */
  readonly keptShare: number;
  readonly study: number;
  /** Standard errors of the difference. */
  readonly deviation: number;
  /** A digit for each prompt, in order: 1 is right. */
  readonly right: string;
}

export interface MergedFamily {
  readonly family: Family;
  readonly nPrompts: number;
  readonly meanTokens: number;
  /** Answers that were compared with a real session's. */
  readonly nChecked: number;
  /** Medians, one process. */
  readonly prefillSeconds: number;
  readonly answersSeconds: number;
  readonly rows: readonly MergedRow[];
}

export interface AnswersRecord extends RunSettings {
  readonly version: "answers-1";
  readonly what: "answers";
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly commits: readonly Commit[];
  readonly machine: Machine;
  readonly runtimes: readonly string[];
  readonly families: readonly MergedFamily[];
}

/**
 * @param date ISO 8601, UTC.
 * @throws Where there is nothing, or the parts were made with different settings.
 */
export function mergePartials(partials: readonly PartialResults[], date: string): AnswersRecord {
  const [first] = partials;
  if (first === undefined) throw new Error("Cannot merge: there are no partial results");
  const settings = distinct(partials.map((one) => one.settings));
  if (settings.length > 1) {
    throw new Error(
      `Cannot merge: settings differ, ${settings.map((one) => JSON.stringify(one)).join(" and ")}`,
    );
  }
  const families = FAMILIES.flatMap((family) => {
    const prompts = promptsOf(partials.filter((one) => one.family === family));
    return prompts.length === 0 ? [] : [mergeFamily(family, prompts)];
  });
  return {
    version: "answers-1",
    what: "answers",
    date,
    commits: distinct(partials.map(({ commit }) => commit)),
    machine: first.machine,
    runtimes: distinct(partials.map(({ runtime }) => runtime)),
    ...first.settings,
    families,
  };
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

/** By index, each once: slices of two runs may share prompts. */
function promptsOf(partials: readonly PartialResults[]): PromptResult[] {
  const byIndex = new Map<number, PromptResult>();
  for (const prompt of partials.flatMap(({ prompts }) => prompts)) {
    const known = byIndex.get(prompt.index);
    if (known === undefined || prompt.nChecked > known.nChecked) byIndex.set(prompt.index, prompt);
  }
  return [...byIndex.values()].sort((a, b) => a.index - b.index);
}

function mergeFamily(family: Family, prompts: readonly PromptResult[]): MergedFamily {
  const labels = CONTESTANTS.flatMap(({ label }) => KEEPS.map((keep) => ({ label, keep })));
  const rows = [{ label: FULL, keep: 1 }, ...labels].map(({ label, keep }): MergedRow => {
    const answers = prompts.map(({ index, answers: all }) => {
      const one = all.find((answer) => answer.label === label && answer.keep === keep);
      if (one !== undefined) return one;
      throw new Error(`Cannot merge: prompt ${index} of ${family} has no ${label} at ${keep}`);
    });
    const own = accuracy(answers.map(({ isRight }) => isRight));
    const study = studyOf(family, label, keep);
    return {
      ...{ label, keep, ...own },
      keptShare: mean(answers.map(({ keptShare }) => keptShare)),
      study: study.mean,
      deviation: deviation(own, study),
      right: answers.map(({ isRight }) => (isRight ? "1" : "0")).join(""),
    };
  });
  return {
    family,
    nPrompts: prompts.length,
    meanTokens: mean(prompts.map(({ nTokens }) => nTokens)),
    nChecked: prompts.reduce((sum, { nChecked }) => sum + nChecked, 0),
    prefillSeconds: median(prompts.map(({ prefillMs }) => prefillMs / 1000)),
    answersSeconds: median(prompts.map(({ answersMs }) => answersMs / 1000)),
    rows,
  };
}

function studyOf(family: Family, label: string, keep: number): Accuracy {
  const { full, accuracy: perLabel, nPrompts: n } = STUDY[family];
  const p = label === FULL ? full : (perLabel[label]?.[STUDY_KEEPS.indexOf(keep)] ?? NaN);
  return { n, mean: p, standardError: Math.sqrt((p * (1 - p)) / n) };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The rows that lie too far from the study. */
export function outliers({ rows }: MergedFamily): MergedRow[] {
  return rows.filter((row) => !(Math.abs(row.deviation) <= MAX_DEVIATION));
}

const percent = (share: number): string => (100 * share).toFixed(0);

const withError = (row: MergedRow): string =>
  `${percent(row.mean)} ± ${percent(row.standardError)}`;

/** By name of the place in the page. */
export function tablesOf(record: AnswersRecord): Record<string, string> {
  const perFamily = record.families.map((one) => [
    `answers-${one.family}`,
    familyText(one, record),
  ]);
  return { "answers-options": optionsTable(), ...Object.fromEntries(perFamily) } as Record<
    string,
    string
  >;
}

function optionsTable(): string {
  return renderTable(
    [{ title: "method" }, { title: "options" }],
    CONTESTANTS.map(({ label, options }) => [`\`${label}\``, options]),
  );
}

function familyText(family: MergedFamily, record: AnswersRecord): string {
  const { machine, activations, codec, model } = record;
  const study = STUDY[family.family];
  const lines = [
    `${family.nPrompts} prompts of ${family.meanTokens.toFixed(0)} tokens on average (the study: ` +
      `${study.nPrompts} of ${study.meanTokens.toFixed(0)}), ${model.file}, ` +
      `activations ${activations}, rows ${codec}, ${machine.cpu}, ${record.date.slice(0, 10)}.`,
    `${family.nChecked} answers were compared with real sessions'.`,
  ];
  return `${lines.join("\n")}\n\n${familyTable(family)}\n\n${verdict(family)}`;
}

function familyTable(family: MergedFamily): string {
  const { rows } = family;
  const right = (title: string) => ({ title, isNumber: true });
  const columns = [
    { title: "method" },
    ...KEEPS.map((keep) => right(`keep ${keep}`)),
    ...KEEPS.map((keep) => right(`study ${keep}`)),
    right("kept, %"),
    right("study kept"),
    right("apart"),
  ];
  const body = CONTESTANTS.map(({ label }) => {
    const own = KEEPS.flatMap(
      (keep) => rows.find((r) => r.label === label && r.keep === keep) ?? [],
    );
    const furthest = own.reduce((most, { deviation: d }) => Math.max(most, Math.abs(d)), 0);
    return [
      `\`${label}\``,
      ...own.map(withError),
      ...own.map(({ study }) => percent(study)),
      own.map(({ keptShare }) => percent(keptShare)).join(" / "),
      (STUDY[family.family].keptShare[label] ?? []).map(percent).join(" / "),
      furthest.toFixed(1),
    ];
  });
  const full = rows.filter(({ label }) => label === FULL);
  const fullCells = full.map((row) => [
    `\`${FULL}\``,
    ...[withError(row), "", "", percent(row.study), "", ""],
    ...[percent(row.keptShare), "100", Math.abs(row.deviation).toFixed(1)],
  ]);
  return renderTable(columns, [...fullCells, ...body]);
}

function verdict(family: MergedFamily): string {
  const found = outliers(family);
  if (found.length === 0) {
    return `Every cell is within ${MAX_DEVIATION} standard errors of the study's.`;
  }
  const names = found.map(
    (row) =>
      `${row.label} at ${row.keep} (${row.deviation > 0 ? "+" : ""}${row.deviation.toFixed(1)})`,
  );
  return `Beyond ${MAX_DEVIATION} standard errors of the study's: ${names.join(", ")}.`;
}

// Partial results -> bench/record/<machine>/<date>-answers.json and the tables of docs/quality.md.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rewriteMarkers } from "../table.ts";
import { type AnswersRecord, mergePartials, outliers, tablesOf } from "./merge.ts";
import { readPartials } from "./partial.ts";

const USAGE = `merge.mjs FOLDER [--record bench/record] [--page docs/quality.md] [--date ISO]
Without --record and --page the tables are only printed.`;

function main(args: readonly string[]): void {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { record: text, page: text, date: text },
  });
  const [folder] = positionals;
  if (folder === undefined) throw new Error(USAGE);
  const record = mergePartials(readPartials(folder), values.date ?? new Date().toISOString());
  const tables = tablesOf(record);
  for (const table of Object.values(tables)) console.log(`${table}\n`);
  for (const family of record.families) {
    const { family: name, prefillSeconds: prefill, answersSeconds: answers } = family;
    console.log(
      `${name}: ${prefill.toFixed(1)} s prefill, ${answers.toFixed(1)} s answers (median)`,
    );
    console.log(`${name}: ${outliers(family).length} cells too far from the study`);
  }
  if (values.record !== undefined) console.log(`wrote ${write(values.record, record)}`);
  if (values.page === undefined) return;
  const page = rewriteMarkers(readFileSync(values.page, "utf8"), tables);
  if (page.missing.length > 0) throw new Error(`Cannot place ${page.missing.join(", ")}`);
  writeFileSync(values.page, page.text);
}

/** An earlier record of the same day stays. */
function write(folder: string, record: AnswersRecord): string {
  const own = join(folder, record.machine.slug);
  mkdirSync(own, { recursive: true });
  const name = `${record.date.slice(0, 10)}-${record.what}`;
  let path = join(own, `${name}.json`);
  for (let i = 2; existsSync(path); i++) path = join(own, `${name}-${i}.json`);
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
  return path;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

// Writes the README's table of methods from the registry. With --check it writes nothing and fails when
// the table is stale.
//
//   node scripts/make-readme.mjs [--check] [--methods FILE]
//
// FILE holds what `kvasir methods --json` prints; without it the command line of dist/ is asked.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureBuilt } from "./build.mjs";
import { capture, root } from "./lib/run.mjs";

const { values } = parseArgs({
  options: { check: { type: "boolean", default: false }, methods: { type: "string" } },
});
const target = join(root, "README.md");
const page = readFileSync(target, "utf8");
const place = /(<!-- methods -->)[\s\S]*?(<!-- \/methods -->)/;
if (!place.test(page)) throw new Error(`${target} has no place for the methods`);
const table = methodTable(JSON.parse(await readMethods()));
const fresh = page.replace(place, (_, begin, end) => `${begin}\n\n${table}\n\n${end}`);
if (!values.check) writeFileSync(target, fresh);
else if (page !== fresh) {
  throw new Error("The README's methods are stale: run node scripts/make-readme.mjs");
}

async function readMethods() {
  if (values.methods !== undefined) return readFileSync(values.methods, "utf8");
  await ensureBuilt();
  return capture(process.execPath, [join(root, "dist", "cli.js"), "methods", "--json"]) ?? "[]";
}

/** Columns as wide as their cells, which is how Prettier leaves them. */
function methodTable(methods) {
  const rows = [
    ["method", "keeps", "signals", "in decode", "ragged", "by question", "source"],
    ...methods.map((one) => [
      `[${one.name}](src/compression/methods/${one.name}.ts)`,
      one.keeps,
      [...new Set([...one.signals.prefill, ...one.signals.decode])].join(", ") || "none",
      ...[one.phases.includes("decode"), one.raggedHeads, one.queryAware].map((is) =>
        is ? "yes" : "no",
      ),
      sourceText(one.paper),
    ]),
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const [titles, ...lines] = rows.map(
    (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`,
  );
  return [titles, `| ${widths.map((n) => "-".repeat(n)).join(" | ")} |`, ...lines].join("\n");
}

function sourceText(paper) {
  if (paper === null) return "-";
  const [, number] = /^arXiv:(.+)$/.exec(paper) ?? [];
  return number === undefined ? paper : `[${number}](https://arxiv.org/abs/${number})`;
}

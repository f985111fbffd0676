import { describeMethods, type MethodDescription } from "../src/compression/describe-methods.ts";
import type { Command } from "./command.ts";
import { parseOptions, usageText, type OptionSpecs } from "./options.ts";
import { textTable } from "./text-table.ts";

const OPTIONS = {
  json: { type: "flag", help: "Print a JSON list, parameters included, in place of the table" },
} as const satisfies OptionSpecs;

/** `kvasir methods`: what the registry holds. */
export const methodsCommand: Command = {
  name: "methods",
  summary: "List the compression methods",
  usage: usageText(
    "kvasir methods [--json]",
    [
      "Lists the compression methods, as they are with their default parameters.",
      "",
      "  signals  what is measured for it; a / b: after the prompt / at steps of the answer",
      "  phases   when rows are dropped: after the prompt, while the answer is made",
      "  ragged   heads of a layer may keep different rows in different numbers",
      "  query    what is kept depends on the question",
      "  budget   must be given, is a cap on what the method chooses, or is refused",
    ].join("\n"),
    OPTIONS,
    ["kvasir methods", "kvasir methods --json"],
  ),
  run: (args, io) => {
    const values = parseOptions(OPTIONS, args);
    const described = describeMethods();
    io.out(
      values.json
        ? `${JSON.stringify(described, null, 2)}\n`
        : methodTable(described, io.isTty ? io.columns : Infinity),
    );
    return Promise.resolve(0);
  },
};

function methodTable(described: readonly MethodDescription[], width: number): string {
  return textTable(
    [
      { title: "name" },
      { title: "keeps", wraps: true },
      { title: "signals" },
      { title: "phases" },
      { title: "ragged" },
      { title: "query" },
      { title: "budget" },
      { title: "paper" },
    ],
    described.map((one) => [
      one.name,
      one.keeps,
      signalsText(one),
      phasesText(one),
      one.raggedHeads ? "yes" : "no",
      one.queryAware ? "yes" : "no",
      BUDGETS[one.budget],
      one.paper ?? "-",
    ]),
    width,
  );
}

const BUDGETS = { required: "needed", optional: "cap", none: "none" } as const;

function signalsText({ signals: { prefill, decode } }: MethodDescription): string {
  const parts = [prefill, decode].map((names) => names.join("+"));
  if (decode.length === 0 || parts[0] === parts[1]) return parts[0] || "-";
  return parts.map((part) => part || "-").join(" / ");
}

/** Overflow goes without saying: every method that takes a budget works then. */
function phasesText({ phases }: MethodDescription): string {
  return phases.filter((phase) => phase !== "overflow").join("+") || "-";
}

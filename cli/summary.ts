import type { Budget, Model, SessionUsage } from "../src/types.ts";
import {
  formatBar,
  formatBytes,
  formatCount,
  formatMs,
  formatPercent,
  formatRate,
} from "./format.ts";
import type { CommandIo } from "./command.ts";

export interface RunFacts {
  readonly model: Pick<Model, "engine" | "loadMs">;
  /** As typed. */
  readonly method: string;
  readonly budget: Budget | undefined;
  readonly usage: SessionUsage;
}

const BAR_WIDTH = 24;

/** Four lines: memory, rows, speed, what ran. */
export function summaryText(facts: RunFacts, io: Pick<CommandIo, "isTty">): string {
  const { model, usage } = facts;
  const { tokens, timing } = usage;
  const parts: [string, string[]][] = [
    ...cacheLines(usage, io),
    [
      "speed",
      [
        `first token ${formatMs(timing.timeToFirstTokenMs)}`,
        `prefill ${formatRate(timing.prefillTokensPerSecond)} tok/s`,
        `decode ${formatRate(timing.decodeTokensPerSecond)} tok/s`,
      ],
    ],
    [
      "run",
      [
        `${model.engine.name} ${model.engine.activations}`,
        ...(model.engine.nThreads > 1 ? [`${model.engine.nThreads} threads`] : []),
        `${facts.method}${facts.budget === undefined ? "" : `, ${budgetText(facts.budget)}`}`,
        `${formatCount(tokens.prompt)} + ${formatCount(tokens.completion)} tokens`,
        `loaded in ${formatMs(model.loadMs)}`,
      ],
    ],
  ];
  return layOut(parts, io);
}

/** The first two lines of the summary, for a chat's /usage. */
export function cacheText(usage: SessionUsage, io: Pick<CommandIo, "isTty">): string {
  return layOut(cacheLines(usage, io), io);
}

function layOut(parts: readonly [string, string[]][], io: Pick<CommandIo, "isTty">): string {
  const separator = io.isTty ? " · " : ", ";
  return parts
    .map(([label, items]) => {
      const name = label.padEnd(6);
      const shown = io.isTty ? `\x1b[2m${name}\x1b[0m` : name; // dim
      return `${shown} ${items.join(separator)}\n`;
    })
    .join("");
}

function cacheLines(usage: SessionUsage, io: Pick<CommandIo, "isTty">): [string, string[]][] {
  const { cache } = usage;
  const share = cache.fullBytes > 0 ? cache.bytes / cache.fullBytes : 0;
  const memory = `${formatBytes(cache.bytes)} of ${formatBytes(cache.fullBytes)}`;
  return [
    ["cache", [`${formatBar(share, BAR_WIDTH, io.isTty)} ${memory} (${formatPercent(share)})`]],
    [
      "rows",
      [
        `${formatCount(cache.keptRows)} of ${formatCount(cache.fullRows)} kept`,
        `peak ${formatBytes(cache.peakBytes)}`,
      ],
    ],
  ];
}

export function budgetText(budget: Budget): string {
  if ("tokens" in budget) return `${formatCount(budget.tokens)} tokens per head`;
  if ("keep" in budget) return `keep ${budget.keep}`;
  return `at most ${formatBytes(budget.bytes)}`;
}

// The study's scoring rule, and its statistics: accuracy with the standard error of a mean of 0s and 1s.
import type { Judge } from "./families.ts";

/** The first line of an answer is what counts. */
const END = /\n|<\|im_end\|>/;

/** Whether `text` answers `expected`: the number is compared as it is written. */
export function isRight(text: string, expected: string, judge: Judge): boolean {
  const [line = ""] = text.split(END);
  const pattern =
    judge.kind === "first" ? /(\d+)/ : new RegExp(`${escaped(judge.mark)}\\s*(-?\\d+)`);
  return pattern.exec(line)?.[1] === expected;
}

export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

export interface Accuracy {
  readonly n: number;
  /** 0 to 1. */
  readonly mean: number;
  /** Of the mean. */
  readonly standardError: number;
}

export function accuracy(results: readonly boolean[]): Accuracy {
  const n = results.length;
  const mean = n === 0 ? NaN : results.filter(Boolean).length / n;
  return { n, mean, standardError: Math.sqrt((mean * (1 - mean)) / n) };
}

/** How many standard errors of the difference `ours` lies from `theirs`. */
export function deviation(ours: Accuracy, theirs: Accuracy): number {
  const difference = ours.mean - theirs.mean;
  const error = Math.hypot(errorOf(ours), errorOf(theirs));
  return difference === 0 ? 0 : difference / error;
}

/**
 * The error that is used to compare: none or all right gives no spread, so it is taken as at half a
 * result from there.
 */
function errorOf({ n, mean }: Accuracy): number {
  const least = 0.5 / n;
  const p = Math.min(1 - least, Math.max(least, mean));
  return Math.sqrt((p * (1 - p)) / n);
}

// What one process has answered so far: a file that is rewritten after every prompt, so that a run that
// was cut short goes on where it stopped.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Commit, Machine, ModelFile } from "../machine.ts";
import type { Family } from "./families.ts";

export const PARTIAL_VERSION = 1;

export interface AnswerResult {
  readonly label: string;
  readonly keep: number;
  readonly text: string;
  readonly isRight: boolean;
  readonly keptShare: number;
}

export interface PromptResult {
  readonly index: number;
  readonly nTokens: number;
  readonly prefillMs: number;
  readonly answersMs: number;
  /** Variants whose rows and answer were compared with a real session's. */
  readonly nChecked: number;
  readonly answers: readonly AnswerResult[];
}

/** What results must have in common to be put together. */
export interface RunSettings {
  readonly model: ModelFile;
  readonly activations: string;
  readonly codec: string;
}

export interface PartialResults {
  readonly version: number;
  readonly family: Family;
  readonly settings: RunSettings;
  readonly commit: Commit;
  readonly runtime: string;
  readonly machine: Machine;
  readonly prompts: readonly PromptResult[];
}

/** The `index`-th of `count` processes, from 0. */
export interface Slice {
  readonly index: number;
  readonly count: number;
}

export function parseSlice(text: string): Slice {
  const [, index = NaN, count = NaN] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index < count) return { index, count };
  throw new Error(`Cannot slice the prompts: --slice is I/N with I from 0 to N - 1, got "${text}"`);
}

/** The prompts of a slice: every `count`-th, so that fewer prompts in all leave the rest as it is. */
export function indicesOf({ index, count }: Slice, nPrompts: number): number[] {
  return Array.from({ length: nPrompts }, (_, i) => i).filter((i) => i % count === index);
}

export function partialPath(folder: string, family: Family, { index, count }: Slice): string {
  return join(folder, `${family}-${index}-of-${count}.json`);
}

export function readPartial(path: string): PartialResults | null {
  if (!existsSync(path)) return null;
  const partial = JSON.parse(readFileSync(path, "utf8")) as PartialResults;
  if (partial.version === PARTIAL_VERSION) return partial;
  throw new Error(`Cannot go on from "${path}": it has version ${partial.version}`);
}

/** All or nothing, whenever the process is ended. */
export function writePartial(path: string, partial: PartialResults): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${JSON.stringify(partial)}\n`);
  renameSync(`${path}.new`, path);
}

export function readPartials(folder: string): PartialResults[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .flatMap((name) => readPartial(join(folder, name)) ?? []);
}

// A run on disk: bench/record/<machine>/<date>-<what>.json.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KernelSize } from "./kernel-sizes.ts";
import type { JobSettings } from "./job.ts";
import type { Commit, Machine, ModelFile } from "./machine.ts";
import type { LaneRecord } from "./runner.ts";

const VERSION = 1;

export interface BenchRecord {
  readonly version: number;
  /** "cases", "peers", "saved" or a case's name. */
  readonly what: string;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly commit: Commit;
  readonly machine: Machine;
  readonly model: ModelFile;
  readonly settings: Omit<JobSettings, "text" | "threads"> & {
    readonly text: string;
    readonly rounds: number;
    /** Several where lanes differ in it. */
    readonly threads: number | readonly number[];
  };
  readonly loadAverage: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly lanes: readonly LaneRecord[];
  /** Beside memory: what a page downloads. */
  readonly kernels?: readonly KernelSize[];
}

export type RecordFields = Omit<BenchRecord, "version">;

export function createRecord(fields: RecordFields): BenchRecord {
  return { version: VERSION, ...fields };
}

/** @returns The path written; an earlier record of the same day stays. */
export function writeRecord(folder: string, record: BenchRecord): string {
  const own = join(folder, record.machine.slug);
  mkdirSync(own, { recursive: true });
  const name = `${record.date.slice(0, 10)}-${record.what}`;
  let path = join(own, `${name}.json`);
  for (let i = 2; existsSync(path); i++) path = join(own, `${name}-${i}.json`);
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
  return path;
}

/** All records of a version that is understood, the newest first. */
export function readRecords(folder: string, slug?: string): BenchRecord[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as BenchRecord)
    .filter((record) => record.version === VERSION)
    .filter((record) => slug === undefined || record.machine.slug === slug)
    .sort((a, b) => b.date.localeCompare(a.date));
}

/** The most that other programs held before any round: above 0.2 the timings shared their cores. */
export function mostBusy(record: BenchRecord): number {
  return Math.max(
    0,
    ...record.lanes.flatMap(({ rounds }) => rounds.map((round) => round.othersBusyCores)),
  );
}

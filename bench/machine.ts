// What a number depends on besides the code: the machine, what else runs on it, the commit, the model.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Machine {
  readonly slug: string;
  readonly cpu: string;
  readonly nCores: number;
  readonly memoryBytes: number;
  readonly system: string;
}

export interface ModelFile {
  readonly file: string;
  readonly byteLength: number;
  readonly sha256: string;
  /** By the file's name, "unknown" where it says nothing. */
  readonly quant: string;
}

export interface Commit {
  readonly id: string;
  /** The tree differs from it. */
  readonly isDirty: boolean;
}

export function thisMachine(slug?: string): Machine {
  const all = cpus();
  const cpu = all[0]?.model.trim() ?? "unknown";
  return {
    slug: slug ?? slugOf(cpu, all.length),
    cpu,
    nCores: all.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
  };
}

/** "Intel(R) Xeon(R) Processor @ 2.60GHz", 2 -> "intel-xeon-2-cores". */
export function slugOf(cpu: string, nCores: number): string {
  const words = cpu
    .replace(/\((R|TM|C)\)/gi, " ")
    .replace(/@.*$/, " ")
    .replace(/\b(processor|cpu)\b/gi, " ")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
  return [...(words.length === 0 ? ["unknown"] : words), `${nCores}-cores`].join("-");
}

export const loadAverage = (): number[] => loadavg().map((value) => Math.round(value * 100) / 100);

const QUIET_CORES = 0.15;
const SAMPLE_MS = 300;

/** Cores that the machine keeps busy while this process waits. */
async function busyCores(): Promise<number> {
  const before = busyMs();
  const started = performance.now();
  await sleep(SAMPLE_MS);
  return (busyMs() - before) / (performance.now() - started);
}

function busyMs(): number {
  return cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
}

/** Waits, `maxWaitMs` at most, for other programs to leave the cores. @returns Those still used. */
export async function waitForQuiet(maxWaitMs: number): Promise<number> {
  const deadline = performance.now() + maxWaitMs;
  let busy = await busyCores();
  while (busy >= QUIET_CORES && performance.now() < deadline) busy = await busyCores();
  return Math.round(busy * 100) / 100;
}

export function commitOf(folder: string): Commit {
  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/record");
    return { id: git("rev-parse", "HEAD").trim(), isDirty: changed.trim() !== "" };
  } catch {
    return { id: "unknown", isDirty: true }; // an unpacked archive has no history
  }
}

export async function describeModel(path: string): Promise<ModelFile> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  const file = basename(path);
  const quant = /[-._](i?q\d[a-z0-9_]*|b?f16|f32)\.gguf$/i.exec(file)?.[1]?.toUpperCase();
  const { size } = statSync(path);
  return { file, byteLength: size, sha256: hash.digest("hex"), quant: quant ?? "unknown" };
}

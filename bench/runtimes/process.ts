// Node and Deno: one process per job.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Job, type Reply, readReply } from "../job.ts";
import type { BenchRuntime, RuntimeFiles } from "./runtime.ts";

export function nodeRuntime(name: string, program: string, files: RuntimeFiles): BenchRuntime {
  return processRuntime(name, [program], "node.js", files);
}

export function denoRuntime(program: string, files: RuntimeFiles): BenchRuntime {
  // No config file: the checkout's package.json must not decide how the bundle is read.
  const command = [program, "run", "--quiet", "--no-config", "--no-lock", "--allow-all"];
  return processRuntime("kvasir, deno", command, "deno.js", files);
}

function processRuntime(
  name: string,
  command: readonly string[],
  entry: string,
  { folder, model }: RuntimeFiles,
): BenchRuntime {
  return {
    name,
    async run(task) {
      const place = pathToFileURL(join(folder, "package", entry)).href;
      const job: Job = { ...task, entry: place, model };
      const own = mkdtempSync(join(folder, "job-"));
      try {
        const path = join(own, "job.json");
        writeFileSync(path, JSON.stringify(job));
        return await runProcess([...command, join(folder, "worker-process.js"), path]);
      } finally {
        rmSync(own, { recursive: true, force: true });
      }
    },
    close: async () => undefined,
  };
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A program's reply; its standard error is ours. */
export async function runProcess(
  command: readonly string[],
  options: ProcessOptions = {},
): Promise<Reply> {
  try {
    return readReply(await outputOf(command, options));
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** What a program prints on standard output. @throws When it fails without printing anything. */
export function outputOf(
  [program = "", ...args]: readonly string[],
  options: ProcessOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (piece: string) => (printed += piece));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0 || printed.trim() !== "") resolve(printed);
      else reject(new Error(`Cannot run ${program}: ${signal ?? `exit status ${code}`}`));
    });
  });
}

// The runtimes that kvasir is compared with. Their runners live outside this repository; they are
// copied to a temporary folder and installed there, since their packages are none of ours.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Json, Params, Reply } from "./job.ts";
import type { Lane } from "./runner.ts";
import { outputOf } from "./runtimes/process.ts";
import { wllamaMemory } from "./runtimes/wllama-memory.ts";
import type { BenchCase, Variant } from "./cases/case.ts";
import { decodeMetric } from "./cases/contexts.ts";

export const peerNames = ["native", "wllama"] as const;
export type PeerName = (typeof peerNames)[number];

export interface PeerOptions {
  readonly folder: string;
  readonly model: string;
  readonly threads: number;
  readonly node: string;
  readonly browser: string;
}

/** What a runner prints, as far as it is used. */
interface PeerLine {
  readonly peer: string;
  readonly version: string;
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  readonly loadMs: number;
  /** Where contexts were asked for. */
  readonly contexts?: readonly {
    readonly context: number;
    readonly decodeTokensPerSecond: number;
  }[];
}

/** Copies the runners and installs their packages, once per content. @returns The folder. */
export function installPeers(source: string): string {
  if (!existsSync(join(source, "package.json"))) {
    throw new Error(`Cannot compare: no runners of other runtimes in "${source}"; use --peers`);
  }
  const hash = createHash("sha256");
  for (const name of readdirSync(source).sort()) hash.update(readFileSync(join(source, name)));
  const folder = join(tmpdir(), `kvasir-peers-${hash.digest("hex").slice(0, 12)}`);
  const done = join(folder, "installed");
  if (existsSync(done)) return folder;
  mkdirSync(folder, { recursive: true });
  cpSync(source, folder, { recursive: true });
  // Without --omit=optional npm takes the GPU builds as well, hundreds of megabytes.
  const args = ["install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"];
  const env = { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: "true" };
  const stdio: ("ignore" | "inherit")[] = ["ignore", "ignore", "inherit"];
  const { status } = spawnSync("npm", args, { cwd: folder, env, stdio });
  if (status !== 0) throw new Error(`Cannot install the other runtimes in "${folder}"`);
  writeFileSync(done, "");
  return folder;
}

/** A lane that runs one repeat of a peer's runner in a fresh process per round. */
export function peerLane(
  name: PeerName,
  beside: BenchCase,
  variant: Variant,
  options: PeerOptions & { readonly nRounds?: number },
): Lane {
  const { params } = variant;
  const title = name === "native" ? "llama.cpp, native" : "wllama, chromium";
  return {
    case: beside.name,
    variant: variant.name,
    runtime: title,
    params,
    metrics: variant.metrics ?? beside.metrics,
    isDeterministic: beside.isDeterministic ?? false,
    threads: options.threads,
    ...(options.nRounds === undefined ? {} : { nRounds: options.nRounds }),
    prepare: async () => null,
    run: () =>
      beside.name === "memory"
        ? wllamaMemory(params.nTokens, options)
        : runPeer(name, params, options),
  };
}

async function runPeer(name: PeerName, params: Params, options: PeerOptions): Promise<Reply> {
  const numbers = { threads: options.threads, repeats: 1, ...lengthsOf(params) };
  const args = Object.entries(numbers).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const command = [options.node, `${name}.mjs`, options.model, ...args];
  try {
    const printed = await outputOf([...command, "--browser", options.browser], {
      cwd: options.folder,
    });
    return readPeerLine(printed, params.contexts !== undefined);
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** With a prefill of its own, what the runner always does; else decode after a context alone. */
function lengthsOf(params: Params): Readonly<Record<string, number | string>> {
  const { nPrefill, nTokens, nDecode, contexts } = params;
  if (nPrefill !== undefined && contexts !== undefined) {
    const decode = { contexts: contexts.join(), "context-decode": nDecode, "context-repeats": 1 };
    return { prefill: nPrefill, prompt: 8, decode: 1, ...decode };
  }
  if (nPrefill !== undefined) return { prefill: nPrefill, prompt: nTokens, decode: nDecode };
  const least = { prefill: 8, prompt: 8, decode: 1 };
  return {
    ...least,
    contexts: nTokens,
    "context-decode": nDecode,
    "context-repeats": 1,
  };
}

/** @param isAtLengths One reading with decodes on the way, as the case `contexts` has. */
export function readPeerLine(printed: string, isAtLengths = false): Reply {
  const line = printed
    .trimEnd()
    .split("\n")
    .findLast((text) => text.startsWith("{"));
  if (line === undefined) return { kind: "failed", reason: "Cannot read a peer's result: no line" };
  const output = JSON.parse(line) as PeerLine;
  const { prefillTokensPerSecond, decodeTokensPerSecond, loadMs, contexts } = output;
  const context = contexts?.[0];
  const metricsOf = (): Record<string, number> => {
    if (context === undefined) return { prefillTokensPerSecond, decodeTokensPerSecond, loadMs };
    if (!isAtLengths) return { decodeTokensPerSecond: context.decodeTokensPerSecond };
    const metrics: Record<string, number> = { prefillTokensPerSecond };
    for (const one of contexts ?? [])
      metrics[decodeMetric(one.context)] = one.decodeTokensPerSecond;
    return metrics;
  };
  return {
    kind: "done",
    metrics: metricsOf(),
    output: output as unknown as Json,
    facts: null,
  };
}

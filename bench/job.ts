// What the runner asks of a fresh process or page, and what comes back: one JSON value each way.
import type { Activations, EngineName } from "../src/engine/engine.ts";

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One variant of a case: every case reads the fields that it needs. */
export interface Params {
  /** Tokens of the prompt. */
  readonly nTokens: number;
  /** Tokens decoded after it. */
  readonly nDecode: number;
  /** Tokens of the prompt whose prefill is timed apart from the decode, where a case has two. */
  readonly nPrefill?: number;
  /** Lengths on the way to `nTokens`, ascending, where a case has several. */
  readonly contexts?: readonly number[];
  readonly method?: string;
  /** Rows per kv head. */
  readonly budgetTokens?: number;
  /** Methods of a case that compares all of them in one process. */
  readonly methods?: readonly string[];
  readonly sampler?: "argmax" | "top-k" | "top-p";
}

export interface Text {
  readonly name: string;
  readonly text: string;
}

/** The same for all variants of a run. */
export interface JobSettings {
  readonly engine: EngineName | "auto";
  readonly activations: Activations;
  readonly threads: number;
  /** The only build of the kernels that may be taken, its threaded one with threads. Default: any. */
  readonly build?: "simd128" | "relaxed";
  /** Pages: load from what the browser keeps, after a first load that is not timed. */
  readonly fromStore?: boolean;
  /** null: words, each one token, as the other runtimes are measured with. */
  readonly text: Text | null;
}

export interface Job {
  readonly case: string;
  /** `expect`: the right result by another path, once. `measure`: check against it, and time. */
  readonly phase: "expect" | "measure";
  readonly params: Params;
  readonly settings: JobSettings;
  /** Result of the phase `expect`; null there. */
  readonly expected: Json;
  /** What `import` takes: the built package's entry for this runtime. */
  readonly entry: string;
  /** Path or URL. */
  readonly model: string;
}

/** What ran, as it says of itself. */
export interface Facts {
  /** "node 20.20.2". */
  readonly runtime: string;
  readonly engine: string;
  readonly activations: string;
  readonly threads: number;
  readonly loadMs: number;
  readonly weightBytes: number;
  readonly peakEngineBytes: number;
  /** The WASM memory's size, 0 on engines without. */
  readonly reservedBytes: number;
}

export interface Done {
  readonly kind: "done";
  readonly metrics: Readonly<Record<string, number>>;
  readonly output: Json;
  readonly facts: Facts | null;
}

export interface NotDone {
  /**
   * `skipped`: this cannot run here, for a stated reason. `wrong`: its result is not the right one.
   * `failed`: it broke down.
   */
  readonly kind: "skipped" | "wrong" | "failed";
  readonly reason: string;
}

export type Reply = Done | NotDone;

/** The last line of what a process printed that is a reply; `failed` when there is none. */
export function readReply(printed: string): Reply {
  for (const line of printed.trimEnd().split("\n").reverse()) {
    if (!line.startsWith("{")) continue;
    const reply = parseReply(line);
    if (reply !== null) return reply;
  }
  const tail = printed.trim().slice(-300);
  return { kind: "failed", reason: `Cannot read a result: got ${JSON.stringify(tail)}` };
}

function parseReply(line: string): Reply | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null; // a line of a program's own that starts with a brace
  }
  if (typeof value !== "object" || value === null || !("kind" in value)) return null;
  if (value.kind === "done" && "metrics" in value && isNumbers(value.metrics)) return value as Done;
  const isNotDone = ["skipped", "wrong", "failed"].includes(String(value.kind));
  return isNotDone && "reason" in value ? (value as NotDone) : null;
}

/** JSON has no NaN or Infinity: they arrive as null, and no timing may be either. */
function isNumbers(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((item) => typeof item === "number")
  );
}

// A case checks its result, then times. It runs in the measured process, on the built package.
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import { KvasirError } from "../../src/errors.ts";
import type { Json, JobSettings, Params } from "../job.ts";
import type { Better } from "../statistics.ts";
import { textTokens, wordTokens } from "../text.ts";

/** `number`: a count or a ratio. */
export type Unit =
  "tokens/s" | "ms" | "us" | "bytes" | "share" | "nats" | "GB/s" | "TFLOP/s" | "number";

export interface Metric {
  readonly title: string;
  readonly unit: Unit;
  readonly better: Better;
}

export interface CaseSettings {
  readonly contexts: readonly number[];
  readonly context: number;
  readonly budget: number;
  readonly prefills: readonly number[];
  readonly prompt: number;
  readonly decode: number;
  readonly methods: readonly string[];
  /** Those that are compared by what they add to a prompt. */
  readonly promptMethods: readonly string[];
  readonly allMethods: readonly string[];
}

export interface Variant {
  readonly name: string;
  readonly params: Params;
  /** What this variant has of its own. */
  readonly settings?: Partial<JobSettings>;
  /** Instead of the case's. */
  readonly metrics?: Readonly<Record<string, Metric>>;
}

export interface Measured {
  readonly metrics: Readonly<Record<string, number>>;
  readonly output: Json;
}

export interface BenchCase {
  readonly name: string;
  readonly measures: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** The same in every round: one is enough. */
  readonly isDeterministic?: boolean;
  /** The model's file is read once before it is loaded, and `Bench.readMs` says how long that took. */
  readonly readsFirst?: boolean;
  variants(settings: CaseSettings): readonly Variant[];
  /** The right result, by another path than `measure` takes. */
  expect(bench: Bench, params: Params): Promise<Json>;
  /** @throws {CheckError} When the result is not the expected one. */
  measure(bench: Bench, params: Params, expected: Json): Promise<Measured>;
}

/** A wrong result: its timing means nothing. */
export class CheckError extends Error {
  override readonly name = "CheckError";
}

export function check(isRight: boolean, message: string): asserts isRight {
  if (!isRight) throw new CheckError(message);
}

export function sameTokens(what: string, got: readonly number[], expected: Json): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  check(a === b, `Cannot trust ${what}: expected tokens ${b}, got ${a}`);
}

/** The loaded model and the run's settings. */
export class Bench {
  readonly model: LocalModel;
  readonly settings: JobSettings;
  /** What reading the file took, and nothing else; 0 where the case does not ask for it. */
  readonly readMs: number;
  readonly #runtime: Runtime;

  constructor(model: LocalModel, settings: JobSettings, runtime: Runtime, readMs = 0) {
    this.model = model;
    this.settings = settings;
    this.readMs = readMs;
    this.#runtime = runtime;
  }

  /** Whether equal inputs give equal bits by every path through the engine. */
  get isExact(): boolean {
    return this.model.engine.name !== "webgpu";
  }

  /** @throws {KvasirError} `unavailable` where the platform has no WebGPU. */
  async gpu(): Promise<GPU> {
    const gpu = ((await this.#runtime.gpu?.()) ?? null) as GPU | null;
    if (gpu !== null) return gpu;
    throw new KvasirError("unavailable", "Cannot measure a GPU: this platform has no WebGPU");
  }

  words(length: number, seed = 0): Uint32Array {
    return wordTokens(this.model.tokenizer, length, seed);
  }

  /** The run's text if it has one, else words. */
  prompt(length: number): Uint32Array {
    const { text } = this.settings;
    if (text === null) return this.words(length);
    return textTokens(this.model.tokenizer, text.text, length);
  }
}

// Runs every check that a golden folder has files for. The platform hands in the folder, the
// models and the means to open them, so the same check runs in every runtime.
import type { Activations, CodecName, EngineName } from "../engine/engine.ts";
import { throwIfAborted } from "../errors.ts";
import type { TensorTypeName } from "../gguf/tensor-type.ts";
import type { ModelConfig } from "../model/config.ts";
import type { ModelSource } from "../runtime/runtime.ts";
import type { ChatTemplate, Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Budget } from "../types.ts";
import { dequantJobs } from "./checks/dequant.ts";
import { forwardJobs } from "./checks/forward.ts";
import { pressJobs } from "./checks/presses.ts";
import { templateJobs, tokenizerJobs } from "./checks/text.ts";
import { toyJobs } from "./checks/toys.ts";
import { discover, type GoldenContents, type GoldenFolder } from "./golden.ts";
import type { MethodSpec } from "./presses.ts";

/** What the checks need of a model: lower than a session, so that every logit can be seen. */
export interface ParityModel {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
  readonly config: ModelConfig;
  /**
   * Reads `ids` from position 0 into a fresh, uncompressed cache and calls `visit` for each
   * position in order, or for the last one only. A callback, since all logits of a long prompt
   * are hundreds of MB: `logits` f32[vocabSize] is valid during the call.
   */
  logits(
    ids: readonly number[],
    positions: "all" | "last",
    visit: (position: number, logits: Float32Array) => void,
  ): Promise<void>;
  /** `nTokens` greedy tokens after `ids`, uncompressed, not stopped at the end-of-text token. */
  greedy(ids: readonly number[], nTokens: number): Promise<readonly number[]>;
  /**
   * Reads `ids` and compresses the whole of it, the question included, once per spec, in the
   * order of `specs`. The caller disposes each result before it asks for the next; an
   * implementation may read `ids` once for all.
   */
  press(ids: readonly number[], specs: readonly PressSpec[]): AsyncIterable<PressedCache>;
  dispose(): void;
}

export interface PressSpec {
  readonly method: MethodSpec;
  /** None for "full". */
  readonly budget?: Budget;
  /** Original positions to keep whatever the method says, ascending, [layer][kv head]. */
  readonly kept?: readonly (readonly ArrayLike<number>[])[];
}

export interface PressedCache {
  /** Original positions, ascending, [layer][kv head]. Owned by the caller. */
  readonly kept: readonly (readonly Uint32Array[])[];
  /** Feeds `token` at the next original position; f32[vocabSize], valid until the next call. */
  next(token: number): Promise<Float32Array>;
  dispose(): void;
}

export type ParityEngine = EngineName | "auto";

export interface OpenParityOptions {
  readonly engine: ParityEngine;
  readonly activations: Activations;
  /** How the cache stores rows. Default: "f32" where the engine computes in f32, else "f16". */
  readonly codec?: CodecName;
  /** Default as `load`'s. */
  readonly threads?: number;
}

export type OpenParityModel = (
  source: ModelSource,
  options: OpenParityOptions,
) => Promise<ParityModel>;

/** What the library gives to the checks. */
export interface ParityHost {
  readonly open: OpenParityModel;
  hasMethod(name: string): boolean;
  /** By the engine that is checked; `blocks` holds whole blocks. */
  dequantize(
    type: TensorTypeName,
    blocks: Uint8Array,
    engine: ParityEngine,
  ): Float32Array | Promise<Float32Array>;
}

export const AREAS = ["dequant", "tokenizer", "templates", "toys", "forward", "presses"] as const;
export type Area = (typeof AREAS)[number];

export type CheckStatus =
  | "pass"
  | "fail"
  | "info" // measured, with no tolerance to hold it to
  | "no model" // the model's file is not there
  | "missing" // kvasir has no such method
  | "not read" // kvasir does not read the tensor type
  | "not run";

export interface CheckResult {
  readonly area: Area;
  readonly check: string;
  readonly metric: string;
  readonly measured: number | string | null;
  /** The largest passing value, or what is expected. */
  readonly tolerance: number | string | null;
  readonly status: CheckStatus;
  /** Why it failed or did not run. */
  readonly note?: string;
}

/** Which file a job needs: a toy of the folder, or a model by file name. */
export type ModelKey =
  | { readonly kind: "golden"; readonly path: string }
  | { readonly kind: "file"; readonly name: string }
  | { readonly kind: "unknown"; readonly why: string };

export interface CheckContext {
  readonly golden: GoldenFolder;
  readonly host: ParityHost;
  readonly activations: Activations;
  /** As in `ParityOptions`. */
  readonly codec?: CodecName;
  /** The job's model. */
  model(): ParityModel;
}

/** The checks of one golden file on one model in one mode. */
export interface Job {
  readonly area: Area;
  readonly check: string;
  /** undefined where no model is needed. */
  readonly model?: ModelKey;
  readonly activations: Activations;
  run(context: CheckContext): AsyncIterable<CheckResult>;
}

export interface ParityOptions {
  readonly engine: ParityEngine;
  readonly threads?: number;
  readonly activations: readonly Activations[];
  /** As in `OpenParityOptions`. */
  readonly codec?: CodecName;
  readonly only: readonly Area[];
  /** Finds a model by file name; null where it is not there. */
  findModel(name: string): Promise<ModelSource | null>;
  /** Golden folder -> model file name, over what its tokenizer.json says. */
  readonly models: ReadonlyMap<string, string>;
  readonly signal?: AbortSignal;
  /** Called before each job. */
  readonly onJob?: (job: Pick<Job, "area" | "check">) => void;
}

/** Runs all checks of `golden`; models are opened one at a time and shared by their checks. */
export async function* runParity(
  golden: GoldenFolder,
  host: ParityHost,
  options: ParityOptions,
): AsyncGenerator<CheckResult> {
  const contents = await discover(golden);
  const jobs = orderJobs(await planJobs(golden, contents, options));
  const models = new OpenModel(golden, host, options);
  try {
    for (const job of jobs) {
      throwIfAborted(options.signal, "run the parity checks");
      options.onJob?.(job);
      yield* runJob(job, golden, host, models, options);
    }
  } finally {
    models.close();
  }
}

async function planJobs(
  golden: GoldenFolder,
  contents: GoldenContents,
  options: ParityOptions,
): Promise<Job[]> {
  const plans: Readonly<Record<Area, () => Job[] | Promise<Job[]>>> = {
    dequant: () => dequantJobs(golden, contents, options.engine),
    tokenizer: () => tokenizerJobs(golden, contents, options.models),
    templates: () => templateJobs(golden, contents),
    toys: () => toyJobs(golden, contents, options.activations, options.codec),
    forward: () => forwardJobs(golden, contents, options),
    presses: () => pressJobs(golden, contents, options),
  };
  const jobs: Job[] = [];
  for (const area of AREAS) {
    if (!options.only.includes(area)) continue;
    try {
      jobs.push(...(await plans[area]()));
    } catch (error) {
      jobs.push(brokenJob(area, error));
    }
  }
  return jobs;
}

/** Golden data so broken that the area's checks cannot even be listed. */
function brokenJob(area: Area, error: unknown): Job {
  const note = messageOf(error);
  return {
    area,
    check: "golden data",
    activations: "f32",
    run: async function* () {
      await Promise.resolve();
      yield failure({ area, check: "golden data" }, note);
    },
  };
}

function failure(row: Pick<CheckResult, "area" | "check">, note: string): CheckResult {
  const { area, check } = row;
  return { area, check, metric: "error", measured: null, tolerance: null, status: "fail", note };
}

/** Jobs of one model and mode side by side, so that it is loaded once; else as planned. */
function orderJobs(jobs: readonly Job[]): Job[] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const key = job.model === undefined ? "" : `${keyText(job.model)}\n${job.activations}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [job]);
    else group.push(job);
  }
  return [...groups.values()].flat();
}

function keyText(key: ModelKey): string {
  return JSON.stringify(key);
}

async function* runJob(
  job: Job,
  golden: GoldenFolder,
  host: ParityHost,
  models: OpenModel,
  { codec, signal }: ParityOptions,
): AsyncGenerator<CheckResult> {
  try {
    let model: ParityModel | undefined;
    if (job.model !== undefined) {
      const opened = await models.open(job.model, job.activations);
      if (typeof opened === "string") {
        yield { ...failure(job, opened), metric: "", status: "no model" };
        return;
      }
      model = opened;
    }
    yield* job.run({
      golden,
      host,
      activations: job.activations,
      ...(codec !== undefined && { codec }),
      model: () => {
        if (model === undefined) throw new Error(`Broken invariant: ${job.check} needs a model`);
        return model;
      },
    });
  } catch (error) {
    // A broken file, a model that cannot be opened: one check fails, the others run.
    if (signal?.aborted === true) throw error;
    yield failure(job, messageOf(error));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** At most one model at a time. */
class OpenModel {
  readonly #golden: GoldenFolder;
  readonly #host: ParityHost;
  readonly #options: ParityOptions;
  #key = "";
  #model: ParityModel | undefined;

  constructor(golden: GoldenFolder, host: ParityHost, options: ParityOptions) {
    this.#golden = golden;
    this.#host = host;
    this.#options = options;
  }

  /** @returns The model, or why there is none. */
  async open(key: ModelKey, activations: Activations): Promise<ParityModel | string> {
    const wanted = `${keyText(key)}\n${activations}`;
    if (this.#model !== undefined && this.#key === wanted) return this.#model;
    this.close();
    const source = await this.#source(key);
    if (typeof source === "object" && "missing" in source) return source.missing;
    this.#model = await this.#host.open(source, {
      engine: this.#options.engine,
      activations,
      ...(this.#options.codec !== undefined && { codec: this.#options.codec }),
      ...(this.#options.threads !== undefined && { threads: this.#options.threads }),
    });
    this.#key = wanted;
    return this.#model;
  }

  async #source(key: ModelKey): Promise<ModelSource | { readonly missing: string }> {
    if (key.kind === "unknown") return { missing: key.why };
    if (key.kind === "golden") return this.#golden.readBytes(key.path);
    const source = await this.#options.findModel(key.name);
    return source ?? { missing: `${key.name} is not there` };
  }

  close(): void {
    this.#model?.dispose();
    this.#model = undefined;
  }
}

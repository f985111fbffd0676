// kvpress's presses in kvasir's words: which method each is, and how its kept sets are judged.
import type { Budget } from "../types.ts";
import { type JsonObject, isObject } from "./golden.ts";
import type { Tolerance } from "./kept-sets.ts";

export interface MethodSpec {
  readonly name: string;
  readonly [parameter: string]: unknown;
}

/** Which rule of kept-sets.ts tells right from wrong. */
export type KeptRule =
  | { readonly kind: "equal" }
  | { readonly kind: "per-head"; readonly chunkLength?: number }
  | { readonly kind: "chunks"; readonly chunkLength: number }
  | { readonly kind: "shared"; readonly alpha: number }
  | { readonly kind: "overlap" };

export interface PressMapping {
  /** undefined where kvasir has no such method. */
  readonly method: MethodSpec | undefined;
  readonly rule: KeptRule;
  /** How far the golden scores of two right runs lie apart. */
  readonly noise: Tolerance;
  /** Scores given at one ratio hold at that ratio only. */
  readonly scoresAreOfRatio: boolean;
  /** Equal scores at every cut: which of them stays is chance, and so is what follows. */
  readonly tiesAtCuts: boolean;
}

interface PressClass {
  /** kvasir's name, and kvpress parameter -> kvasir parameter. */
  readonly name?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  /** kvasir parameters that make the method what kvpress has. */
  readonly fixed?: Readonly<Record<string, unknown>>;
  readonly rule?: (params: JsonObject) => KeptRule;
  /** Largest difference, in the score's own unit. */
  readonly noise: number | ((params: JsonObject) => number);
  /** The noise is a share of the score. */
  readonly noiseIsRelative?: boolean;
  readonly scoresAreOfRatio?: boolean;
  readonly tiesAtCuts?: (params: JsonObject) => boolean;
}

// Noise: golden README, "How to compare a kept set" (eager against sdpa, about 1,000 tokens).
const SNAPKV_NOISE = 1.2e-7;
const SNAPKV_PARAMETERS = { window_size: "windowSize", kernel_size: "kernelSize" };

const CLASSES: Readonly<Record<string, PressClass>> = {
  StreamingLLMPress: {
    name: "streaming-llm",
    parameters: { n_sink: "nSink" },
    rule: () => ({ kind: "equal" }),
    noise: 0,
  },
  KnormPress: { name: "knorm", fixed: { skipLayers: 0 }, noise: 5e-5 },
  KeyDiffPress: { name: "keydiff", noise: 2e-6 },
  LagKVPress: {
    name: "lagkv",
    parameters: { n_sink: "nSink", lag_size: "lagSize", cross_scoring: "crossScoring" },
    // Without cross scoring the scores are ranks / lag_size. Equal ranks of different partitions
    // tie and may go either way, other ranks may not: half a step, over the factor of 4.
    noise: (params) =>
      params["cross_scoring"] === true ? 5e-8 : 0.5 / (4 * numberOr(params["lag_size"], 128)),
    tiesAtCuts: (params) => params["cross_scoring"] !== true,
  },
  SnapKVPress: { name: "snapkv", parameters: SNAPKV_PARAMETERS, noise: SNAPKV_NOISE },
  PyramidKVPress: {
    name: "pyramidkv",
    parameters: { ...SNAPKV_PARAMETERS, beta: "beta" },
    fixed: { form: "rounded" },
    noise: SNAPKV_NOISE,
  },
  // Once, after the prompt.
  TOVAPress: { name: "tova", fixed: { interval: 0 }, noise: 5e-7 },
  ObservedAttentionPress: {
    name: "h2o",
    fixed: { recentShare: 0, isPerQuery: true, interval: 0 },
    noise: 5e-7,
  },
  ExpectedAttentionPress: {
    name: "expected-attention",
    parameters: {
      n_future_positions: "nFuture",
      n_sink: "nSink",
      use_covariance: "useCovariance",
      use_vnorm: "useValueNorm",
      epsilon: "epsilon",
    },
    // exp of a logit: what the logit is off is the score's share. The largest differences, 8e-5
    // with covariance and 1.1e-5 without, are those of the largest scores.
    noise: 9e-5,
    noiseIsRelative: true,
  },
  CriticalKVPress: { noise: 1.1e-5, scoresAreOfRatio: true },
};

const UNKNOWN: PressClass = { noise: 0 };

interface Wrapper {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly fixed?: Readonly<Record<string, unknown>>;
  readonly rule: (params: JsonObject) => KeptRule;
}

/** Presses around another: the name is the outer one's, its scorer the inner one's. */
const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  ChunkKVPress: {
    name: "chunkkv",
    parameters: { chunk_length: "chunkSize" },
    fixed: { fill: "kvpress" },
    rule: (params) => ({ kind: "chunks", chunkLength: numberOr(params["chunk_length"], 20) }),
  },
  ChunkPress: {
    name: "chunked",
    parameters: { chunk_length: "chunkLength" },
    rule: (params) => ({ kind: "per-head", chunkLength: numberOr(params["chunk_length"], 1024) }),
  },
  AdaKVPress: {
    name: "adakv",
    parameters: { alpha_safeguard: "alpha" },
    fixed: { guarantee: "safe" },
    rule: (params) => ({ kind: "shared", alpha: numberOr(params["alpha_safeguard"], 0.2) }),
  },
  CriticalKVPress: {
    name: "critical-kv",
    parameters: { epsilon: "epsilon", first_stage_ratio: "firstStage" },
    rule: () => ({ kind: "per-head" }),
  },
  CriticalAdaKVPress: {
    name: "critical-adakv",
    parameters: {
      alpha_safeguard: "alpha",
      epsilon: "epsilon",
      first_stage_ratio: "firstStage",
    },
    // The golden scores are the inner press's, not those that decided.
    rule: () => ({ kind: "overlap" }),
  },
};

/** What a press of the golden data is to kvasir. @param params With `class`, as kvpress has it. */
export function mapPress(params: JsonObject): PressMapping {
  const name = String(params["class"]);
  const inner = params["press"];
  const own = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  const wrapper = Object.hasOwn(WRAPPERS, name) ? WRAPPERS[name] : undefined;
  if (wrapper !== undefined && isObject(inner)) return mapWrapper(wrapper, own, inner, params);
  return mapClass(own ?? UNKNOWN, params);
}

function mapClass(own: PressClass, params: JsonObject): PressMapping {
  return {
    method: own.name === undefined ? undefined : specOf({ ...own, name: own.name }, params),
    rule: own.rule?.(params) ?? { kind: "per-head" },
    noise: noiseOf(own, params),
    scoresAreOfRatio: own.scoresAreOfRatio === true,
    tiesAtCuts: own.tiesAtCuts?.(params) === true,
  };
}

function mapWrapper(
  wrapper: Wrapper,
  own: PressClass | undefined,
  inner: JsonObject,
  params: JsonObject,
): PressMapping {
  const wrapped = mapPress(inner);
  const outer = specOf(wrapper, params);
  const { name: scorer, ...given } = wrapped.method ?? { name: undefined };
  // What is fixed is the method's own, not its scorer's.
  const fixed = CLASSES[String(inner["class"])]?.fixed ?? {};
  const parameters = Object.fromEntries(
    Object.entries(given).filter(([name]) => !Object.hasOwn(fixed, name)),
  );
  return {
    method: scorer === undefined ? undefined : { scorer, ...parameters, ...outer },
    rule: wrapper.rule(params),
    noise: own === undefined ? wrapped.noise : noiseOf(own, params),
    scoresAreOfRatio: own?.scoresAreOfRatio === true || wrapped.scoresAreOfRatio,
    tiesAtCuts: wrapped.tiesAtCuts,
  };
}

function specOf(
  { name, parameters = {}, fixed }: Pick<PressClass, "parameters" | "fixed"> & { name: string },
  params: JsonObject,
): MethodSpec {
  const given = Object.entries(parameters).filter(([theirs]) => params[theirs] !== undefined);
  const values = given.map(([theirs, ours]) => [ours, params[theirs]] as const);
  return { ...fixed, ...Object.fromEntries<unknown>(values), name };
}

function noiseOf(own: PressClass | undefined, params: JsonObject): Tolerance {
  const noise = typeof own?.noise === "function" ? own.noise(params) : (own?.noise ?? 0);
  return own?.noiseIsRelative === true
    ? { absolute: 0, relative: noise }
    : { absolute: noise, relative: 0 };
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === "number" ? value : fallback;
}

/**
 * The budget that gives kvpress's counts: tokens per head where all layers hold the same mean
 * (kvpress rounds `int(T * (1 - ratio))`, which can be one less than the fraction says), else the
 * fraction.
 *
 * @param counts [nLayers][nKvHeads].
 * @param ratio Fraction removed.
 */
export function budgetOf(counts: readonly (readonly number[])[], ratio: number): Budget {
  const means = new Set(
    counts.map((ofLayer) => ofLayer.reduce((sum, count) => sum + count, 0) / ofLayer.length),
  );
  const [mean] = means;
  return means.size === 1 && mean !== undefined && Number.isInteger(mean)
    ? { tokens: mean }
    : { keep: 1 - ratio };
}

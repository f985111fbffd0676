// GGUF metadata -> ModelConfig, validated once. What kvasir cannot compute is refused here, by key,
// so that no model runs and gives wrong text.
import type { RopeFrequencies } from "../engine/engine.ts";
import { KvasirError } from "../errors.ts";
import {
  getBoolean,
  getInteger,
  getNumber,
  getString,
  keyError,
  required,
} from "../gguf/metadata.ts";
import type { GgufFile } from "../gguf/parse.ts";
import { TextList } from "../text-list.ts";
import type { Architecture } from "./architectures/architecture.ts";
import { ARCHITECTURES } from "./architectures/index.ts";
import type { LayerConfig, ModelConfig } from "./config.ts";

const MAX_LAYERS = 1024;
const MAX_SIZE = 2 ** 20; // of vectors; the largest known are about 2^16
const MAX_HEAD_DIM = 1024;
const MAX_VOCAB = 2 ** 24;
const MAX_CONTEXT = 2 ** 30;

/** Keys that change the arithmetic in ways kvasir has not, and the values that leave it alone. */
const REFUSED_UNLESS: readonly (readonly [key: string, harmless: readonly number[]])[] = [
  ["expert_count", [0]],
  ["attn_logit_softcapping", [0]],
  ["final_logit_softcapping", [0]],
  ["attention.clamp_kqv", [0]],
  ["attention.max_alibi_bias", [0]],
  ["attention.scale", [0]],
  ["embedding_scale", [0, 1]],
  ["residual_scale", [0, 1]],
  ["logit_scale", [0, 1]],
  ["rope.scaling.attn_factor", [0, 1]],
];

/**
 * Reads what the model computes.
 *
 * Where a model has `rope_freqs.weight` (llama 3), `rope.factors` is left for the loader to fill.
 *
 * @throws {KvasirError} `bad-gguf` for missing, mistyped or absurd values, `unsupported-model` for
 *   architectures and features that kvasir does not compute; the message names the key.
 */
export function readModelConfig(gguf: GgufFile): ModelConfig {
  const architecture = readArchitecture(gguf);
  const prefix = architecture.name;
  refuseFeatures(gguf, prefix);
  const nLayers = requiredInteger(gguf, `${prefix}.block_count`, MAX_LAYERS);
  const hiddenSize = requiredInteger(gguf, `${prefix}.embedding_length`, MAX_SIZE);
  const nHeads = required(
    getPerLayer(gguf, `${prefix}.attention.head_count`, nLayers),
    gguf,
    `${prefix}.attention.head_count`,
  );
  const nKvHeads = readKvHeads(gguf, prefix, nLayers, nHeads);
  const headDim = readHeadDim(gguf, prefix, hiddenSize, nHeads);
  const shape = { nLayers, hiddenSize, nHeads, headDim };
  return {
    architecture: prefix,
    name: getString(gguf, "general.name") ?? gguf.name,
    ...shape,
    nKvHeads,
    ffnSize: required(
      getPerLayer(gguf, `${prefix}.feed_forward_length`, nLayers),
      gguf,
      `${prefix}.feed_forward_length`,
    ),
    vocabSize: readVocabSize(gguf, hiddenSize),
    contextLength: requiredInteger(gguf, `${prefix}.context_length`, MAX_CONTEXT),
    normEps: readNormEps(gguf, prefix),
    activation: architecture.activation,
    ropeStyle: architecture.ropeStyle,
    attentionScale: architecture.attentionScale(shape),
    embeddingScale: architecture.embeddingScale(shape),
    // Any of these architectures may be trained with biases; llama.cpp too goes by the tensors.
    hasBias: architecture.hasBias || gguf.tensors.has("blk.0.attn_q.bias"),
    hasQkNorm: architecture.hasQkNorm,
    hasPostNorm: architecture.hasPostNorm,
    isTied: !gguf.tensors.has("output.weight"),
    layers: readLayers(gguf, architecture, nLayers, headDim),
  };
}

function readArchitecture(gguf: GgufFile): Architecture {
  const key = "general.architecture";
  const name = required(getString(gguf, key), gguf, key);
  const architecture = ARCHITECTURES.get(name);
  if (architecture) return architecture;
  const known = [...ARCHITECTURES.keys()].join(", ");
  throw unsupported(gguf, `architecture "${name}" is not among those supported: ${known}`);
}

function refuseFeatures(gguf: GgufFile, prefix: string): void {
  for (const [suffix, harmless] of REFUSED_UNLESS) {
    const key = `${prefix}.${suffix}`;
    const value = getNumber(gguf, key);
    if (value !== undefined && !harmless.includes(value)) {
      throw unsupported(gguf, `key "${key}" is ${value}, a feature that kvasir does not compute`);
    }
  }
  if (getBoolean(gguf, `${prefix}.attention.causal`) === false) {
    throw unsupported(gguf, `key "${prefix}.attention.causal" is false, only causal models run`);
  }
  for (const name of ["attn_output.bias", "ffn_gate.bias", "ffn_up.bias", "ffn_down.bias"]) {
    if (gguf.tensors.has(`blk.0.${name}`)) {
      throw unsupported(gguf, `tensor "blk.0.${name}" is a bias that kvasir does not compute`);
    }
  }
}

function readKvHeads(gguf: GgufFile, prefix: string, nLayers: number, nHeads: number): number {
  const key = `${prefix}.attention.head_count_kv`;
  const nKvHeads = getPerLayer(gguf, key, nLayers) ?? nHeads;
  if (nHeads % nKvHeads === 0) return nKvHeads;
  throw keyError(gguf, key, `must divide the ${nHeads} heads, got ${nKvHeads}`);
}

function readHeadDim(gguf: GgufFile, prefix: string, hiddenSize: number, nHeads: number): number {
  const key = `${prefix}.attention.key_length`;
  const headDim = getInteger(gguf, key, 2, MAX_HEAD_DIM) ?? hiddenSize / nHeads;
  if (!Number.isInteger(headDim)) {
    throw keyError(
      gguf,
      key,
      `is missing, and ${nHeads} heads do not divide ${hiddenSize} elements`,
    );
  }
  if (headDim % 2 !== 0 || headDim > MAX_HEAD_DIM) {
    throw keyError(gguf, key, `must be even and at most ${MAX_HEAD_DIM}, got ${headDim}`);
  }
  for (const other of ["attention.value_length", "rope.dimension_count"]) {
    const size = getInteger(gguf, `${prefix}.${other}`) ?? headDim;
    if (size !== headDim) {
      throw unsupported(
        gguf,
        `key "${prefix}.${other}" must equal the head dim ${headDim}, got ${size}`,
      );
    }
  }
  return headDim;
}

function readVocabSize(gguf: GgufFile, hiddenSize: number): number {
  const tokens = gguf.metadata.get("tokenizer.ggml.tokens");
  const nTokens = tokens instanceof TextList ? tokens.length : undefined;
  const embedding = gguf.tensors.get("token_embd.weight");
  if (!embedding) {
    return required(nTokens || undefined, gguf, "tokenizer.ggml.tokens");
  }
  const [nCols, nRows = 0] = embedding.dims;
  if (embedding.dims.length !== 2 || nCols !== hiddenSize || nRows > MAX_VOCAB) {
    const got = embedding.dims.join(", ");
    throw badTensor(gguf, `must have dims [${hiddenSize}, vocabSize], got [${got}]`);
  }
  if (nTokens !== undefined && nTokens !== nRows) {
    throw badTensor(gguf, `has ${nRows} rows, the vocabulary ${nTokens} tokens`);
  }
  return nRows;
}

function readNormEps(gguf: GgufFile, prefix: string): number {
  const key = `${prefix}.attention.layer_norm_rms_epsilon`;
  const normEps = required(getNumber(gguf, key), gguf, key);
  if (normEps > 0 && normEps < 1) return normEps;
  throw keyError(gguf, key, `must lie between 0 and 1, got ${normEps}`);
}

function readLayers(
  gguf: GgufFile,
  architecture: Architecture,
  nLayers: number,
  headDim: number,
): LayerConfig[] {
  const prefix = architecture.name;
  const base = readRopeBase(gguf, `${prefix}.rope.freq_base`) ?? architecture.ropeBase;
  const full: LayerConfig = {
    window: 0,
    rope: withScale({ base, headDim }, readRopeScale(gguf, prefix)),
  };
  const { sliding } = architecture;
  const window = getInteger(gguf, `${prefix}.attention.sliding_window`, 0, MAX_CONTEXT) ?? 0;
  if (!sliding || window === 0) return new Array<LayerConfig>(nLayers).fill(full);
  const localBase = readRopeBase(gguf, `${prefix}.rope.freq_base_swa`) ?? sliding.ropeBase;
  const local: LayerConfig = { window, rope: { base: localBase, headDim } };
  const isSliding = readSlidingPattern(gguf, prefix, nLayers, sliding.pattern);
  return isSliding.map((slides) => (slides ? local : full));
}

/** Which layers slide: a list of booleans, or a period whose last layer does not. */
function readSlidingPattern(
  gguf: GgufFile,
  prefix: string,
  nLayers: number,
  pattern: number,
): readonly boolean[] {
  const key = `${prefix}.attention.sliding_window_pattern`;
  const value = gguf.metadata.get(key);
  if (typeof value === "object") {
    const list = Array.from(value as ArrayLike<unknown>);
    if (list.length !== nLayers) throw keyError(gguf, key, perLayerMessage(nLayers, list.length));
    if (list.every((item) => item === true || item === false || item === 0 || item === 1)) {
      return list.map(Boolean);
    }
    throw keyError(gguf, key, "must hold booleans");
  }
  const period = getInteger(gguf, key, 0, MAX_LAYERS) ?? pattern;
  return Array.from({ length: nLayers }, (_, layer) => period === 0 || layer % period < period - 1);
}

function readRopeBase(gguf: GgufFile, key: string): number | undefined {
  const base = getNumber(gguf, key);
  if (base === undefined || base > 1) return base;
  throw keyError(gguf, key, `must be above 1, got ${base}`);
}

/** The divisor of all frequencies; 1 without scaling. */
function readRopeScale(gguf: GgufFile, prefix: string): number {
  const key = `${prefix}.rope.scaling.type`;
  const type = getString(gguf, key) ?? "linear"; // llama.cpp's default; without a factor it is none
  if (type === "none") return 1;
  if (type !== "linear") {
    throw unsupported(gguf, `key "${key}" is "${type}", supported are none and linear`);
  }
  const factorKey = `${prefix}.rope.scaling.factor`;
  const factor = getNumber(gguf, factorKey) ?? getNumber(gguf, `${prefix}.rope.scale_linear`) ?? 0;
  if (factor < 0) throw keyError(gguf, factorKey, `must be above 0, got ${factor}`);
  return factor === 0 ? 1 : factor;
}

function withScale(rope: RopeFrequencies, scale: number): RopeFrequencies {
  return scale === 1 ? rope : { ...rope, scale };
}

/** A size that some files give once and others for each layer; it must not differ. */
function getPerLayer(gguf: GgufFile, key: string, nLayers: number): number | undefined {
  const value = gguf.metadata.get(key);
  if (typeof value !== "object") return getInteger(gguf, key, 1, MAX_SIZE);
  const list = Array.from(value as ArrayLike<unknown>);
  if (list.length !== nLayers) throw keyError(gguf, key, perLayerMessage(nLayers, list.length));
  const [first] = list;
  if (typeof first !== "number" || !Number.isInteger(first) || first < 1 || first > MAX_SIZE) {
    throw keyError(gguf, key, `must hold integers from 1 to ${MAX_SIZE}, got ${String(first)}`);
  }
  if (list.some((item) => item !== first)) {
    throw unsupported(gguf, `key "${key}" differs between layers`);
  }
  return first;
}

function perLayerMessage(nLayers: number, got: number): string {
  return `must have one entry for each of ${nLayers} layers, got ${got}`;
}

function requiredInteger(gguf: GgufFile, key: string, max: number): number {
  return required(getInteger(gguf, key, 1, max), gguf, key);
}

function unsupported(gguf: GgufFile, what: string): KvasirError {
  return new KvasirError("unsupported-model", `Cannot run model "${gguf.name}": ${what}`);
}

function badTensor(gguf: GgufFile, what: string): KvasirError {
  return new KvasirError(
    "bad-gguf",
    `Cannot read GGUF "${gguf.name}": tensor "token_embd.weight" ${what}`,
  );
}

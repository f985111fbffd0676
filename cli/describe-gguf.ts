// What `kvasir inspect` tells about a file, as data. Pure: no reading beyond the parsed header.
import { KvasirError } from "../src/errors.ts";
import type { GgufFile } from "../src/gguf/parse.ts";
import type { TensorTypeName } from "../src/gguf/tensor-type.ts";
import type { ModelConfig } from "../src/model/config.ts";
import { readModelConfig } from "../src/model/read-config.ts";
import { TextList } from "../src/text-list.ts";
import { parseVocabulary } from "../src/tokenizer/vocabulary.ts";

export interface InspectReport {
  readonly file: {
    readonly name: string;
    /** Of all shards. */
    readonly bytes: number;
    readonly shards: number;
    readonly ggufVersion: number;
  };
  readonly architecture: string | null;
  readonly name: string | null;
  readonly license: string | null;
  /** Elements of all tensors. */
  readonly parameters: number;
  readonly tensors: {
    readonly count: number;
    readonly bytes: number;
    /** Largest first. */
    readonly types: readonly {
      readonly type: TensorTypeName;
      readonly count: number;
      readonly bytes: number;
    }[];
  };
  /** null where kvasir cannot run the model; `problems` says why. */
  readonly model: ModelFacts | null;
  readonly tokenizer: TokenizerFacts | null;
  /** Its first line; null without a template. */
  readonly chatTemplate: { readonly firstLine: string; readonly characters: number } | null;
  readonly cache: CacheFacts | null;
  /** Why the model cannot run here; empty when it can, as far as the header tells. */
  readonly problems: readonly string[];
}

export interface ModelFacts extends Omit<ModelConfig, "layers" | "name" | "architecture"> {
  readonly ropeBase: number;
  /** Linear scaling of the full layers; 1 without. */
  readonly ropeScale: number;
  /** Each frequency has a factor of its own (llama 3). */
  readonly hasRopeFactors: boolean;
  /** Tokens; 0 without sliding layers. */
  readonly slidingWindow: number;
  readonly nSlidingLayers: number;
}

export interface TokenizerFacts {
  readonly model: string | null;
  readonly pre: string | null;
  readonly vocabSize: number;
  readonly bos: TokenFacts | null;
  readonly eos: TokenFacts | null;
  /** null where kvasir does not know the tokenizer. */
  readonly addsBos: boolean | null;
}

export interface TokenFacts {
  readonly id: number;
  readonly text: string | null;
}

/** Bytes of keys and values. A row's position adds 4 bytes, the same for every codec. */
export interface CacheFacts {
  readonly rowsPerToken: number;
  readonly codecs: readonly {
    readonly codec: "f32" | "f16" | "q8";
    /** While all layers grow. */
    readonly perToken: number;
    /** Once sliding layers are full: what the others take. */
    readonly perTokenPastWindow: number;
    /** At `contextLength` tokens, sliding layers holding no more than their window. */
    readonly fullContext: number;
  }[];
}

/** Bytes of one key row or one value row. */
const ROW_BYTES = {
  f32: (headDim: number) => 4 * headDim,
  f16: (headDim: number) => 2 * headDim,
  q8: (headDim: number) => headDim + 4, // one f32 scale for the row
} as const;

export function describeGguf(gguf: GgufFile): InspectReport {
  const problems: string[] = [];
  const config = attempt(() => readModelConfig(gguf), problems);
  const infos = [...gguf.tensors.values()];
  const template = textOf(gguf, "tokenizer.chat_template");
  return {
    file: {
      name: gguf.name,
      bytes: gguf.sources.reduce((sum, source) => sum + source.size, 0),
      shards: gguf.sources.length,
      ggufVersion: gguf.version,
    },
    architecture: textOf(gguf, "general.architecture"),
    name: textOf(gguf, "general.name"),
    license: textOf(gguf, "general.license"),
    parameters: infos.reduce((sum, info) => sum + info.nElements, 0),
    tensors: {
      count: infos.length,
      bytes: infos.reduce((sum, info) => sum + info.byteLength, 0),
      types: tensorTypes(gguf),
    },
    model: config ? modelFacts(config, gguf) : null,
    tokenizer: tokenizerFacts(gguf, problems),
    chatTemplate:
      template === null
        ? null
        : { firstLine: template.split("\n", 1)[0] ?? "", characters: template.length },
    cache: config ? cacheFacts(config) : null,
    problems,
  };
}

function attempt<T>(read: () => T, problems: string[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof KvasirError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}

function tensorTypes(gguf: GgufFile): InspectReport["tensors"]["types"] {
  const types = new Map<TensorTypeName, { count: number; bytes: number }>();
  for (const { type, byteLength } of gguf.tensors.values()) {
    const sum = types.get(type.name) ?? { count: 0, bytes: 0 };
    types.set(type.name, { count: sum.count + 1, bytes: sum.bytes + byteLength });
  }
  return [...types].map(([type, sum]) => ({ type, ...sum })).sort((a, b) => b.bytes - a.bytes);
}

function modelFacts(config: ModelConfig, gguf: GgufFile): ModelFacts {
  const { layers, name: _name, architecture: _architecture, ...sizes } = config;
  const full = layers.find((layer) => layer.window === 0) ?? layers[0];
  const sliding = layers.filter((layer) => layer.window > 0);
  return {
    ...sizes,
    ropeBase: full?.rope.base ?? 0,
    ropeScale: full?.rope.scale ?? 1,
    hasRopeFactors: gguf.tensors.has("rope_freqs.weight"),
    slidingWindow: sliding[0]?.window ?? 0,
    nSlidingLayers: sliding.length,
  };
}

function tokenizerFacts(gguf: GgufFile, problems: string[]): TokenizerFacts | null {
  const tokens = gguf.metadata.get("tokenizer.ggml.tokens");
  if (!(tokens instanceof TextList)) return null;
  const token = (key: string): TokenFacts | null => {
    const id = gguf.metadata.get(key);
    if (typeof id !== "number") return null;
    return { id, text: tokens.at(id) ?? null };
  };
  return {
    model: textOf(gguf, "tokenizer.ggml.model"),
    pre: textOf(gguf, "tokenizer.ggml.pre"),
    vocabSize: tokens.length,
    bos: token("tokenizer.ggml.bos_token_id"),
    eos: token("tokenizer.ggml.eos_token_id"),
    addsBos: attempt(() => parseVocabulary(gguf.metadata).addsBos, problems) ?? null,
  };
}

function cacheFacts(config: ModelConfig): CacheFacts {
  const { layers, nKvHeads, headDim, contextLength } = config;
  const codecs = (["f32", "f16", "q8"] as const).map((codec) => {
    const perLayer = 2 * nKvHeads * ROW_BYTES[codec](headDim);
    const rows = layers.map(({ window }) =>
      window ? Math.min(window, contextLength) : contextLength,
    );
    return {
      codec,
      perToken: layers.length * perLayer,
      perTokenPastWindow: layers.filter(({ window }) => window === 0).length * perLayer,
      fullContext: rows.reduce((sum, nRows) => sum + nRows * perLayer, 0),
    };
  });
  return { rowsPerToken: layers.length * nKvHeads, codecs };
}

function textOf(gguf: GgufFile, key: string): string | null {
  const value = gguf.metadata.get(key);
  return typeof value === "string" ? value : null;
}

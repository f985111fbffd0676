// Tensor table -> weights on the engine, streamed in slices: neither the file nor a whole tensor is
// ever held on the host.
import type { Engine, EngineBuffer, Norm, Projection, Weight } from "../engine/engine.ts";
import { KvasirError, throwIfAborted } from "../errors.ts";
import type { GgufFile } from "../gguf/parse.ts";
import type { TensorInfo } from "../gguf/tensor-info.ts";
import { rowByteLength } from "../gguf/tensor-type.ts";
import type { ModelConfig } from "../model/config.ts";
import { Fingerprint } from "./fingerprint.ts";
import { dequantize } from "./formats/index.ts";
import { READ_BYTES, ReadAhead } from "./read-ahead.ts";
import { EMBEDDING, layerTensor, OUTPUT, OUTPUT_NORM, ROPE_FACTORS } from "./names.ts";

export interface LayerWeights {
  readonly attentionNorm: Norm;
  /** q, k, v. */
  readonly qkv: readonly Projection[];
  readonly qNorm: Norm | undefined;
  readonly kNorm: Norm | undefined;
  readonly attentionOutput: Weight;
  readonly postAttentionNorm: Norm | undefined;
  readonly ffnNorm: Norm;
  readonly gate: Weight;
  readonly up: Weight;
  readonly down: Weight;
  readonly postFfnNorm: Norm | undefined;
}

export interface ModelWeights {
  readonly embedding: Weight;
  readonly outputNorm: Norm;
  /** The embedding itself where the model is tied. */
  readonly output: Weight;
  readonly layers: readonly LayerWeights[];
  /** Tells this model from others; see fingerprint.ts. */
  readonly hash: string;
}

export interface LoadWeightsOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { bytes: number; totalBytes: number }) => void) | undefined;
}

/** Rows that engines want together (`Engine.writeWeightRows`). */
const ROW_STEP = 8;

/**
 * Loads every tensor that the model uses.
 *
 * @throws {KvasirError} `bad-gguf` for a tensor that is missing or has another shape, `out-of-memory`
 *   with bytes wanted and available before anything is read, `aborted`, and what the source throws.
 *   Nothing stays allocated then.
 */
export async function loadWeights(
  engine: Engine,
  gguf: GgufFile,
  config: ModelConfig,
  options: LoadWeightsOptions = {},
): Promise<ModelWeights> {
  const loader = new Loader(engine, gguf, options);
  try {
    const weights = plan(loader, config);
    loader.checkMemory();
    await loader.run();
    return { ...weights(), hash: loader.fingerprint.hash(gguf) };
  } catch (error) {
    loader.release();
    throw error;
  }
}

/** The divisors of llama 3's rope scaling, undefined where the file has none. */
export async function readRopeFactors(
  gguf: GgufFile,
  headDim: number,
): Promise<Float32Array | undefined> {
  const info = gguf.tensors.get(ROPE_FACTORS);
  if (info === undefined) return undefined;
  checkShape(gguf, info, [headDim / 2]);
  const blocks = await info.source.read(info.byteOffset, info.byteLength);
  return dequantize(info.type.name, blocks);
}

/** Names every tensor, and returns what they become once they are loaded. */
function plan(loader: Loader, config: ModelConfig): () => Omit<ModelWeights, "hash"> {
  const { hiddenSize, ffnSize, nHeads, nKvHeads, headDim, vocabSize, normEps } = config;
  const norm = (name: string, size: number): (() => Norm) => {
    const weight = loader.vector(name, size);
    return () => ({ weight: weight(), eps: normEps });
  };
  const optional = <T>(isThere: boolean, make: () => () => T): (() => T | undefined) =>
    isThere ? make() : () => undefined;
  const embedding = loader.matrix(EMBEDDING, vocabSize, hiddenSize);
  const outputNorm = norm(OUTPUT_NORM, hiddenSize);
  const output = config.isTied ? embedding : loader.matrix(OUTPUT, vocabSize, hiddenSize);
  const layers = config.layers.map((_, l) => {
    const name = (part: string): string => layerTensor(l, part);
    const matrix = (part: string, nRows: number, nCols: number): (() => Weight) =>
      loader.matrix(name(`${part}.weight`), nRows, nCols);
    const projection = (part: string, nRows: number): (() => Projection) => {
      const weight = matrix(part, nRows, hiddenSize);
      const bias = optional(config.hasBias, () => loader.vector(name(`${part}.bias`), nRows));
      return () => {
        const own = bias();
        return own === undefined ? { weight: weight() } : { weight: weight(), bias: own };
      };
    };
    const { hasQkNorm, hasPostNorm } = config;
    const layerNorm = (part: string, size: number): (() => Norm) =>
      norm(name(`${part}.weight`), size);
    const parts = {
      attentionNorm: layerNorm("attn_norm", hiddenSize),
      q: projection("attn_q", nHeads * headDim),
      k: projection("attn_k", nKvHeads * headDim),
      v: projection("attn_v", nKvHeads * headDim),
      qNorm: optional(hasQkNorm, () => layerNorm("attn_q_norm", headDim)),
      kNorm: optional(hasQkNorm, () => layerNorm("attn_k_norm", headDim)),
      attentionOutput: matrix("attn_output", hiddenSize, nHeads * headDim),
      postAttentionNorm: optional(hasPostNorm, () => layerNorm("post_attention_norm", hiddenSize)),
      ffnNorm: layerNorm("ffn_norm", hiddenSize),
      gate: matrix("ffn_gate", ffnSize, hiddenSize),
      up: matrix("ffn_up", ffnSize, hiddenSize),
      down: matrix("ffn_down", hiddenSize, ffnSize),
      postFfnNorm: optional(hasPostNorm, () => layerNorm("post_ffw_norm", hiddenSize)),
    };
    return (): LayerWeights => ({
      attentionNorm: parts.attentionNorm(),
      qkv: [parts.q(), parts.k(), parts.v()],
      qNorm: parts.qNorm(),
      kNorm: parts.kNorm(),
      attentionOutput: parts.attentionOutput(),
      postAttentionNorm: parts.postAttentionNorm(),
      ffnNorm: parts.ffnNorm(),
      gate: parts.gate(),
      up: parts.up(),
      down: parts.down(),
      postFfnNorm: parts.postFfnNorm(),
    });
  });
  return () => ({
    embedding: embedding(),
    outputNorm: outputNorm(),
    output: output(),
    layers: layers.map((layer) => layer()),
  });
}

interface Job {
  readonly info: TensorInfo;
  readonly byteLength: number;
  /** Bytes of each read, which together are the tensor. */
  readonly slices: readonly number[];
  load(reads: ReadAhead): Promise<void>;
}

class Loader {
  readonly fingerprint = new Fingerprint();
  readonly #engine: Engine;
  readonly #gguf: GgufFile;
  readonly #options: LoadWeightsOptions;
  readonly #jobs: Job[] = [];
  readonly #weights: Weight[] = [];
  readonly #buffers: EngineBuffer[] = [];
  #bytesDone = 0;
  #totalBytes = 0;

  constructor(engine: Engine, gguf: GgufFile, options: LoadWeightsOptions) {
    this.#engine = engine;
    this.#gguf = gguf;
    this.#options = options;
  }

  /** A matrix of the engine; the result is there after `run`. */
  matrix(name: string, nRows: number, nCols: number): () => Weight {
    const info = this.#find(name, [nCols, nRows]);
    const rowBytes = rowByteLength(info.type, nCols);
    const rowsAtOnce = ROW_STEP * Math.max(1, Math.floor(READ_BYTES / rowBytes / ROW_STEP));
    const slices = Array.from(
      { length: Math.ceil(nRows / rowsAtOnce) },
      (_, i) => rowBytes * Math.min(rowsAtOnce, nRows - i * rowsAtOnce),
    );
    let weight: Weight | undefined;
    this.#jobs.push({
      info,
      byteLength: this.#engine.weightByteLength(info.type.name, nRows, nCols),
      slices,
      load: async (reads) => {
        const own = this.#engine.createWeight(name, info.type.name, nRows, nCols);
        this.#weights.push(own);
        for (const [i] of slices.entries()) {
          const blocks = await reads.next();
          if (i === 0) this.fingerprint.add(info, blocks);
          this.#engine.writeWeightRows(own, i * rowsAtOnce, blocks);
          this.#advance(blocks.byteLength);
          throwIfAborted(this.#options.signal, "load the model");
        }
        weight = own;
      },
    });
    return () => loaded(weight, name);
  }

  /** A vector, always f32 on the engine. */
  vector(name: string, size: number): () => EngineBuffer {
    const info = this.#find(name, [size]);
    let buffer: EngineBuffer | undefined;
    this.#jobs.push({
      info,
      byteLength: 4 * size,
      slices: [info.byteLength],
      load: async (reads) => {
        const blocks = await reads.next();
        this.fingerprint.add(info, blocks);
        const own = this.#engine.alloc(4 * size, name);
        this.#buffers.push(own);
        const values = dequantize(info.type.name, blocks);
        this.#engine.write(own, 0, new Uint8Array(values.buffer, values.byteOffset, 4 * size));
        this.#advance(info.byteLength);
        buffer = own;
      },
    });
    return () => loaded(buffer, name);
  }

  /** @throws {KvasirError} `out-of-memory` when the weights alone pass what the engine can hold. */
  checkMemory(): void {
    const wanted = this.#jobs.reduce((sum, job) => sum + job.byteLength, 0);
    const { bytes, limitBytes } = this.#engine.memory();
    if (wanted <= limitBytes - bytes) {
      this.#engine.reserve(wanted);
      return;
    }
    throw new KvasirError(
      "out-of-memory",
      `Cannot load "${this.#gguf.name}": its weights take ${wanted} bytes, the engine ` +
        `"${this.#engine.name}" has room for ${limitBytes - bytes} bytes`,
    );
  }

  /** In the order of the files, so that a download is read once from front to back. */
  async run(): Promise<void> {
    const fileOf = ({ info }: Job): number => this.#gguf.sources.indexOf(info.source);
    this.#jobs.sort((a, b) => fileOf(a) - fileOf(b) || a.info.byteOffset - b.info.byteOffset);
    this.#totalBytes = this.#jobs.reduce((sum, job) => sum + job.info.byteLength, 0);
    const { signal } = this.#options;
    const allocate = (byteLength: number): Uint8Array =>
      this.#engine.stage?.(byteLength) ?? new Uint8Array(byteLength);
    const reads = new ReadAhead(this.#jobs, { signal, allocate });
    for (const job of this.#jobs) {
      throwIfAborted(signal, "load the model");
      await job.load(reads);
    }
    this.#engine.unstage?.();
  }

  release(): void {
    for (const weight of this.#weights) this.#engine.freeWeight(weight);
    for (const buffer of this.#buffers) this.#engine.free(buffer);
  }

  #find(name: string, dims: readonly number[]): TensorInfo {
    const info = this.#gguf.tensors.get(name);
    if (info === undefined) {
      throw new KvasirError(
        "bad-gguf",
        `Cannot load "${this.#gguf.name}": tensor "${name}" is missing`,
      );
    }
    checkShape(this.#gguf, info, dims);
    return info;
  }

  #advance(byteLength: number): void {
    this.#bytesDone += byteLength;
    this.#options.onProgress?.({ bytes: this.#bytesDone, totalBytes: this.#totalBytes });
  }
}

function loaded<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`Broken invariant: ${name} is loaded`);
  return value;
}

function checkShape(gguf: GgufFile, info: TensorInfo, dims: readonly number[]): void {
  const found = info.dims.filter((dim, i) => dim !== 1 || i < dims.length);
  if (found.length === dims.length && found.every((dim, i) => dim === dims[i])) return;
  throw new KvasirError(
    "bad-gguf",
    `Cannot load "${gguf.name}": tensor "${info.name}" must have dims [${dims.join(", ")}], ` +
      `got [${info.dims.join(", ")}]`,
  );
}

// One prompt and the full cache's own greedy answer, under a method's cache: how far are the logits.
// A sequence is read as a session reads it, in the strict flow: the first answer token sees only what
// was kept.
import { KvCache } from "../src/cache/kv-cache.ts";
import { createCompressor, type Compressor } from "../src/compress.ts";
import { createMethod, type MethodSpec } from "../src/compression/registry.ts";
import { Decoder } from "../src/decode.ts";
import type { CodecName } from "../src/engine/engine.ts";
import { throwIfAborted } from "../src/errors.ts";
import type { LocalModel } from "../src/session/local-model.ts";
import { argmax, klDivergence, logProbability, nmse } from "../src/parity/metrics.ts";
import { prefill } from "../src/prefill.ts";
import type { Budget } from "../src/types.ts";
import type { ComparePrompt } from "./compare-prompt.ts";

const CHUNK_SIZE = 128;
const HEADROOM = 64;

export interface CompareOptions {
  readonly model: LocalModel;
  readonly prompt: ComparePrompt;
  readonly codec: CodecName;
  readonly signal?: AbortSignal;
  /** Share of the prompt that was read. */
  readonly onProgress?: (share: number) => void;
}

/** What a sequence holds and took. */
interface Held {
  /** Bytes of the cache after the prompt: rows, positions, headroom. */
  readonly bytes: number;
  readonly keptRows: number;
  readonly fullRows: number;
  /** Prefill, with all measuring and dropping. */
  readonly promptMs: number;
  /** The answer's tokens, with all measuring and dropping. */
  readonly answerMs: number;
  /** exp of the mean negative log-probability of the full cache's answer. */
  readonly perplexity: number;
}

export interface FullRun extends Held {
  /** After the prompt: f32[vocabSize]. */
  readonly logits: Float32Array;
  /** Greedy, the token that ends it included. */
  readonly answer: readonly number[];
}

export interface MethodRun extends Held {
  /** Of the next token after the prompt, against the full cache's logits. */
  readonly nmse: number;
  /** KL(full || compressed), nats. */
  readonly kl: number;
  /** Original positions after the prompt, by layer and kv head. */
  readonly kept: readonly (readonly Uint32Array[])[];
  /** By layer; null where the method observes no attention. */
  readonly keptMass: readonly (number | null)[];
  readonly notes: readonly string[];
}

/** Reads the prompt with every row kept and answers greedily, at most `maxTokens`. */
export async function runFull(options: CompareOptions, maxTokens: number): Promise<FullRun> {
  const { model } = options;
  const sequence = new Sequence(options, "full", undefined);
  try {
    const { promptMs } = await sequence.read();
    const { bytes, keptRows, fullRows } = sequence.cache.usage();
    const { stopTokens } = model.tokenizer;
    const answer: number[] = [];
    const logits = await sequence.decoder.logits();
    const answered = await sequence.follow(maxTokens, logits, (now) => {
      const last = answer.at(-1);
      if (last !== undefined && stopTokens.has(last)) return null;
      answer.push(argmax(now));
      return answer.at(-1) ?? null;
    });
    return { bytes, keptRows, fullRows, promptMs, ...answered, logits, answer };
  } finally {
    sequence.dispose();
  }
}

/** The same prompt under `method`; `full.answer` is read token by token, whatever it would say. */
export async function runMethod(
  options: CompareOptions,
  full: Pick<FullRun, "logits" | "answer">,
  method: MethodSpec,
  budget: Budget | undefined,
): Promise<MethodRun> {
  const sequence = new Sequence(options, method, budget);
  try {
    const { promptMs, kept } = await sequence.read();
    const { bytes, keptRows, fullRows } = sequence.cache.usage();
    const { keptMass, notes } = sequence.compressor.report();
    const logits = await sequence.decoder.logits();
    const answered = await sequence.follow(
      full.answer.length,
      logits,
      (_, n) => full.answer[n] ?? null,
    );
    return {
      ...{ bytes, keptRows, fullRows, promptMs, ...answered },
      nmse: nmse(logits, full.logits),
      kl: klDivergence(full.logits, logits),
      ...{ kept, keptMass, notes },
    };
  } finally {
    sequence.dispose();
  }
}

/** One sequence in a cache of its own. */
class Sequence {
  readonly cache: KvCache;
  readonly compressor: Compressor;
  readonly decoder: Decoder;
  readonly #options: CompareOptions;

  constructor(options: CompareOptions, spec: MethodSpec, budget: Budget | undefined) {
    const { transformer, kernels } = options.model.parts;
    const { engine, config } = transformer;
    const { nLayers, nKvHeads, headDim } = config;
    const method = createMethod(spec);
    this.#options = options;
    this.cache = new KvCache(engine, {
      ...{ nLayers, nKvHeads, headDim },
      codec: options.codec,
      headroom: HEADROOM,
    });
    this.compressor = createCompressor({
      ...{ engine, cache: this.cache, method, budget, kernels, config },
      outputWeight: (l) => transformer.outputWeight(l),
    });
    this.decoder = new Decoder(transformer, this.cache);
  }

  /** Prefill, compression, and the last token once more where rows went. */
  async read(): Promise<{ readonly promptMs: number; readonly kept: Uint32Array[][] }> {
    const { model, prompt, signal, onProgress } = this.#options;
    const { transformer } = model.parts;
    const { cache, compressor, decoder } = this;
    const { tokens } = prompt;
    const started = performance.now();
    const steps = prefill(
      tokens,
      { transformer, cache, compressor, chunkSize: CHUNK_SIZE, signal, marks: prompt.segments },
      (hidden) => decoder.takeLast(hidden, tokens.length),
    );
    for await (const { done, total } of steps) onProgress?.(done / total);
    const kept = model.config.layers.map((_, l) => cache.knownPositions(l));
    const { keptRows, fullRows } = cache.usage();
    if (keptRows < fullRows) {
      cache.truncate(cache.seen - 1);
      decoder.step(tokens.at(-1) ?? 0);
    }
    return { promptMs: performance.now() - started, kept };
  }

  /**
   * Goes through an answer of at most `nTokens` tokens, each given by `choose`; null ends it.
   * @param first Logits after the prompt.
   */
  async follow(
    nTokens: number,
    first: Float32Array,
    choose: (logits: Float32Array, n: number) => number | null,
  ): Promise<{ readonly perplexity: number; readonly answerMs: number }> {
    const started = performance.now();
    let logits = first;
    let sum = 0;
    let n = 0;
    while (n < nTokens) {
      const token = choose(logits, n);
      if (token === null) break;
      sum += logProbability(logits, token);
      n++;
      if (n === nTokens) break;
      throwIfAborted(this.#options.signal, "compare");
      this.decoder.step(token, this.compressor.beginStep());
      await this.compressor.finishStep();
      logits = await this.decoder.logits();
    }
    return { perplexity: Math.exp(-sum / n), answerMs: performance.now() - started };
  }

  dispose(): void {
    this.compressor.dispose();
    this.cache.dispose();
    this.decoder.dispose();
  }
}

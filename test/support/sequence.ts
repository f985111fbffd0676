// One sequence by hand, below sessions: prefill and decode on a cache of its own, with every logit
// and every stored bit in view.
import { KvCache } from "../../src/cache/kv-cache.ts";
import { codecs } from "../../src/cache/layout.ts";
import { createCompressor } from "../../src/compress.ts";
import { createMethod } from "../../src/compression/registry.ts";
import { Decoder } from "../../src/decode.ts";
import type { CodecName, EngineBuffer } from "../../src/engine/engine.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import { prefill } from "../../src/prefill.ts";
import type { SessionOptions } from "../../src/types.ts";

export interface SequenceOptions extends Pick<
  SessionOptions,
  "method" | "budget" | "codec" | "chunkSize" | "headroom" | "turnPolicy"
> {
  readonly signal?: AbortSignal;
}

export class Sequence {
  readonly cache: KvCache;
  readonly decoder: Decoder;
  readonly #model: LocalModel;
  readonly #options: SequenceOptions;

  constructor(model: LocalModel, options: SequenceOptions = {}) {
    const { transformer } = model.parts;
    const { nLayers, nKvHeads, headDim } = transformer.config;
    const { engine } = transformer;
    const codec: CodecName = options.codec ?? (engine.activations === "f32" ? "f32" : "f16");
    const { headroom = 64 } = options;
    this.#model = model;
    this.#options = options;
    this.cache = new KvCache(engine, { nLayers, nKvHeads, headDim, codec, headroom });
    this.decoder = new Decoder(transformer, this.cache);
  }

  /** Reads a prompt; f32[nTokens, vocabSize], the logits after each of its tokens. */
  async read(tokens: ArrayLike<number>): Promise<Float32Array> {
    let all: Float32Array = new Float32Array(0);
    await this.prefill(tokens, async (hidden) => {
      all = await this.logitsOf(hidden, tokens.length);
    });
    return all;
  }

  /** Reads a prompt; the decoder has the logits after its last token. */
  async prefill(
    tokens: ArrayLike<number>,
    useHidden?: (hidden: EngineBuffer) => Promise<void>,
  ): Promise<void> {
    const { transformer, kernels } = this.#model.parts;
    const { method = "full", budget, chunkSize = 128, signal, turnPolicy } = this.#options;
    const { cache, decoder } = this;
    const compressor = createCompressor({
      engine: transformer.engine,
      cache,
      method: createMethod(method),
      budget,
      kernels,
      config: transformer.config,
      outputWeight: (l) => transformer.outputWeight(l),
      turnPolicy,
    });
    const options = { transformer, cache, compressor, chunkSize, signal };
    const steps = prefill(Uint32Array.from(tokens), options, async (hidden) => {
      decoder.takeLast(hidden, tokens.length);
      await useHidden?.(hidden);
    });
    for await (const step of steps) void step;
  }

  /** f32[nTokens, vocabSize] of x f32[nTokens, hiddenSize] after the last layer. */
  async logitsOf(hidden: EngineBuffer, nTokens: number): Promise<Float32Array> {
    const { transformer } = this.#model.parts;
    const { engine, config } = transformer;
    const out = engine.alloc(4 * nTokens * config.vocabSize, "logits");
    transformer.logits(out, hidden, nTokens);
    const bytes = await engine.read(out, 0, out.byteLength);
    engine.free(out);
    return new Float32Array(bytes.buffer, bytes.byteOffset, nTokens * config.vocabSize);
  }

  /** Greedy tokens after what was read. */
  async greedy(nTokens: number): Promise<number[]> {
    const tokens = [await this.decoder.best()];
    while (tokens.length < nTokens) {
      this.decoder.step(tokens.at(-1) as number);
      tokens.push(await this.decoder.best());
    }
    return tokens;
  }

  /** Keys, values and positions of each (layer, kv head), as stored. */
  async stored(): Promise<Uint8Array[]> {
    const { engine } = this.#model.parts.transformer;
    const parts: Uint8Array[] = [];
    for (let l = 0; l < this.cache.nLayers; l++) {
      const rows = this.cache.layer(l);
      const rowBytes = codecs[rows.codec].rowBytes(rows.headDim);
      for (let head = 0; head < rows.nKvHeads; head++) {
        const [start, length] = [rows.start[head] ?? 0, rows.length[head] ?? 0];
        for (const buffer of [rows.keys, rows.values]) {
          parts.push(await engine.read(buffer, start * rowBytes, length * rowBytes));
        }
        parts.push(await engine.read(rows.positions, start * 4, length * 4));
      }
    }
    return parts;
  }

  dispose(): void {
    this.cache.dispose();
    this.decoder.dispose();
  }
}

/** Whether two lists of arrays are equal bit for bit; Vitest's deep equality is slow on these. */
export function isSameBits(
  a: readonly (Uint8Array | Float32Array)[],
  b: readonly (Uint8Array | Float32Array)[],
): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i] as Uint8Array | Float32Array;
      return Buffer.compare(viewOf(one), viewOf(other)) === 0;
    })
  );
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

// A model as the parity checks see it: every logit, and caches compressed as a press does it.
import { KvCache } from "../cache/kv-cache.ts";
import { createCompressor } from "../compress.ts";
import type { Method } from "../compression/method.ts";
import { createMethod, methodNames } from "../compression/registry.ts";
import { Decoder } from "../decode.ts";
import { createEngine } from "../engine/create-engine.ts";
import type { CodecName, Engine, EngineBuffer } from "../engine/engine.ts";
import { KvasirError } from "../errors.ts";
import { TENSOR_TYPES, type TensorTypeName } from "../gguf/tensor-type.ts";
import { load } from "../load.ts";
import { LocalModel } from "../session/local-model.ts";
import { prefill } from "../prefill.ts";
import type { ModelSource, Runtime } from "../runtime/runtime.ts";
import type {
  OpenParityModel,
  ParityEngine,
  OpenParityOptions,
  ParityHost,
  ParityModel,
  PressedCache,
  PressSpec,
} from "./runner.ts";

const CHUNK_SIZE = 128;
/** Positions whose logits are made at once. */
const LOGITS_AT_ONCE = 8;
/** Enough for the continuations that goldens hold. */
const HEADROOM = 64;
const F32_BYTES = 4;

/** What `runParity` needs, on `runtime`. */
export function createParityHost(runtime: Runtime): ParityHost {
  const engines = new Map<ParityEngine, Promise<Engine>>();
  return {
    open: parityOpener(runtime),
    hasMethod: (name) => methodNames().includes(name),
    dequantize: async (type, blocks, name) => {
      const engine = engines.get(name) ?? f32Engine(runtime, name);
      engines.set(name, engine);
      return dequantizeOn(await engine, type, blocks);
    },
  };
}

async function f32Engine(runtime: Runtime, engine: ParityEngine): Promise<Engine> {
  const created = await createEngine({ engine, activations: "f32", runtime });
  if (created === null) throw new KvasirError("unavailable", "Cannot dequantise: no engine works");
  return created.engine;
}

/** The engine's own dequantisation: the blocks as one row of a weight, embedded. */
async function dequantizeOn(
  engine: Engine,
  type: TensorTypeName,
  blocks: Uint8Array,
): Promise<Float32Array> {
  const { blockSize, blockByteLength } = TENSOR_TYPES[type];
  const n = (blocks.byteLength / blockByteLength) * blockSize;
  const weight = engine.createWeight(type, type, 1, n);
  const [token, out] = [engine.alloc(F32_BYTES, "token"), engine.alloc(F32_BYTES * n, "row")];
  try {
    engine.writeWeightRows(weight, 0, blocks);
    engine.write(token, 0, new Uint8Array(F32_BYTES));
    engine.embed(out, weight, token, 1, 1);
    const bytes = await engine.read(out, 0, F32_BYTES * n);
    return new Float32Array(bytes.buffer, bytes.byteOffset, n);
  } finally {
    engine.freeWeight(weight);
    engine.free(token);
    engine.free(out);
  }
}

function parityOpener(runtime: Runtime): OpenParityModel {
  return async (source: ModelSource, { codec, ...options }: OpenParityOptions) => {
    const model = await load(source, { ...options, runtime });
    if (!(model instanceof LocalModel)) throw new Error("Broken invariant: load is local");
    return new TransformerParity(model, codec);
  };
}

class TransformerParity implements ParityModel {
  readonly tokenizer: ParityModel["tokenizer"];
  readonly chatTemplate: ParityModel["chatTemplate"];
  readonly config: ParityModel["config"];
  readonly #model: LocalModel;
  readonly #codec: CodecName;

  constructor(model: LocalModel, codec?: CodecName) {
    this.#model = model;
    this.#codec = codec ?? (model.engine.activations === "f32" ? "f32" : "f16");
    this.tokenizer = model.tokenizer;
    this.chatTemplate = model.chatTemplate;
    this.config = model.config;
  }

  async logits(
    ids: readonly number[],
    positions: "all" | "last",
    visit: (position: number, logits: Float32Array) => void,
  ): Promise<void> {
    const run = this.#run();
    try {
      await run.read(ids, async (hidden) => {
        if (positions === "all") await this.#visitAll(hidden, ids.length, visit);
      });
      if (positions === "last") visit(ids.length - 1, await run.decoder.logits());
    } finally {
      run.dispose();
    }
  }

  async greedy(ids: readonly number[], nTokens: number): Promise<readonly number[]> {
    const run = this.#run();
    try {
      await run.read(ids);
      const tokens = [await run.decoder.best()];
      while (tokens.length < nTokens) {
        run.decoder.step(tokens.at(-1) ?? 0);
        tokens.push(await run.decoder.best());
      }
      return tokens;
    } finally {
      run.dispose();
    }
  }

  async *press(
    ids: readonly number[],
    specs: readonly PressSpec[],
  ): AsyncGenerator<PressedCache, void> {
    for (const spec of specs) {
      const run = this.#run(spec);
      try {
        await run.read(ids);
        const kept: Uint32Array[][] = [];
        for (let l = 0; l < this.config.nLayers; l++) kept.push(await run.cache.keptPositions(l));
        yield {
          kept,
          next: (token) => {
            run.decoder.step(token);
            return run.decoder.logits();
          },
          dispose: () => run.dispose(),
        };
      } finally {
        run.dispose();
      }
    }
  }

  dispose(): void {
    this.#model.dispose();
  }

  #run(spec?: PressSpec): Run {
    return new Run(this.#model, this.#codec, spec);
  }

  async #visitAll(
    hidden: EngineBuffer,
    nTokens: number,
    visit: (position: number, logits: Float32Array) => void,
  ): Promise<void> {
    const { transformer } = this.#model.parts;
    const { engine, config } = transformer;
    const { hiddenSize, vocabSize } = config;
    const rowBytes = F32_BYTES * vocabSize;
    const out = engine.alloc(LOGITS_AT_ONCE * rowBytes, "logits");
    try {
      for (let first = 0; first < nTokens; first += LOGITS_AT_ONCE) {
        const n = Math.min(LOGITS_AT_ONCE, nTokens - first);
        const stride = F32_BYTES * hiddenSize;
        transformer.logits(out, engine.slice(hidden, first * stride, n * stride), n);
        const bytes = await engine.read(out, 0, n * rowBytes);
        for (let i = 0; i < n; i++) {
          const at = bytes.byteOffset + i * rowBytes;
          visit(first + i, new Float32Array(bytes.buffer, at, vocabSize));
        }
      }
    } finally {
      engine.free(out);
    }
  }
}

function methodOf(spec: PressSpec | undefined): Method {
  const method = createMethod(spec?.method ?? "full");
  const { kept } = spec ?? {};
  if (kept === undefined) return method;
  return {
    ...method,
    schedule: { ...method.schedule, prefill: "end" },
    capabilities: { ...method.capabilities, raggedHeads: true, budget: "none" },
    // The prompt is the first: a row's index is its position.
    onPrefillLayer: ({ layer }) => {
      const rows = (kept[layer] ?? []).map((positions) => Uint32Array.from(positions));
      return [{ kind: "keep", layer, rows }];
    },
  };
}

/** One sequence in a cache of its own. */
class Run {
  readonly cache: KvCache;
  readonly decoder: Decoder;
  readonly #model: LocalModel;
  readonly #spec: PressSpec | undefined;
  #isDisposed = false;

  constructor(model: LocalModel, codec: CodecName, spec: PressSpec | undefined) {
    const { transformer } = model.parts;
    const { nLayers, nKvHeads, headDim } = transformer.config;
    const { engine } = transformer;
    const shape = { nLayers, nKvHeads, headDim, codec, headroom: HEADROOM } as const;
    this.#model = model;
    this.#spec = spec;
    this.cache = new KvCache(engine, shape);
    this.decoder = new Decoder(transformer, this.cache);
  }

  async read(
    ids: readonly number[],
    useHidden?: (hidden: EngineBuffer) => Promise<void>,
  ): Promise<void> {
    const { transformer, kernels } = this.#model.parts;
    const { cache, decoder } = this;
    const compressor = createCompressor({
      engine: transformer.engine,
      cache,
      method: methodOf(this.#spec),
      budget: this.#spec?.budget,
      kernels,
      config: transformer.config,
      outputWeight: (l) => transformer.outputWeight(l),
      // kvpress scores the newest row like any other.
      keepsNewest: false,
    });
    const options = { transformer, cache, compressor, chunkSize: CHUNK_SIZE };
    const steps = prefill(Uint32Array.from(ids), options, async (hidden) => {
      decoder.takeLast(hidden, ids.length);
      await useHidden?.(hidden);
    });
    for await (const step of steps) void step;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.cache.dispose();
    this.decoder.dispose();
  }
}

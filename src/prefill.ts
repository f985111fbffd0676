// Prompt tokens -> cache rows, layer by layer: all chunks through layer l, compress layer l, then
// layer l + 1. Only the hidden states and one layer's full rows exist at a time.
import type { KvCache } from "./cache/kv-cache.ts";
import type { Compressor } from "./compress.ts";
import type { OverflowCause } from "./compress-plan.ts";
import type { Segment } from "./compression/segments.ts";
import type { EngineBuffer } from "./engine/engine.ts";
import { throwIfAborted } from "./errors.ts";
import type { Transformer } from "./model/transformer.ts";
import { Yielder } from "./timing/yielder.ts";

const F32_BYTES = 4;

/** As `Compressor.compressLayer` gives them. */
type KeepLists = Awaited<ReturnType<Compressor["compressLayer"]>>;

export interface PrefillOptions {
  readonly transformer: Transformer;
  readonly cache: KvCache;
  readonly compressor: Compressor;
  /** Tokens per step. */
  readonly chunkSize: number;
  readonly signal?: AbortSignal | undefined;
  /** Segments of these tokens, absolute positions; the gaps are text. Default none. */
  readonly marks?: readonly Segment[];
  /** The tokens are the newest, read again so that rows can be dropped. */
  readonly cause?: OverflowCause;
}

/** Tokens times layers. */
export interface PrefillProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Reads `tokens` (at least one) from position `cache.seen` on, compresses as the method says, and
 * yields after each step. When the caller leaves early, or after an error, the cache is as before.
 *
 * @param useHidden Called before the buffers go, with x f32[nTokens, hiddenSize] after the last
 *   layer: what logits are made of.
 * @throws {KvasirError} `aborted`, `out-of-memory`, `bad-option` for a budget that this prompt
 *   cannot be brought down to.
 */
export async function* prefill(
  tokens: Uint32Array,
  options: PrefillOptions,
  useHidden: (hidden: EngineBuffer) => void | Promise<void>,
): AsyncGenerator<PrefillProgress> {
  const { cache, compressor } = options;
  const seenBefore = cache.seen;
  const run = new Prefill(tokens, options);
  let isComplete = false;
  try {
    compressor.planPrefill(tokens.length, options.marks, options.cause);
    run.allocate();
    yield* run.layers();
    await useHidden(run.hidden);
    cache.advance(tokens.length);
    compressor.finish();
    cache.releaseStaging();
    isComplete = true;
  } finally {
    run.release();
    if (!isComplete) {
      compressor.release();
      cache.abandon(seenBefore);
    }
  }
}

class Prefill {
  readonly #tokens: Uint32Array;
  readonly #options: PrefillOptions;
  readonly #firstPosition: number;
  readonly #allocated: EngineBuffer[] = [];
  readonly #yielder = new Yielder();

  constructor(tokens: Uint32Array, options: PrefillOptions) {
    this.#tokens = tokens;
    this.#options = options;
    this.#firstPosition = options.cache.seen;
  }

  #hidden: EngineBuffer | undefined;
  #tables: EngineBuffer[] = [];
  #workspace: ReturnType<Transformer["createWorkspace"]> | undefined;

  get hidden(): EngineBuffer {
    if (this.#hidden === undefined) throw new Error("Broken invariant: allocate comes first");
    return this.#hidden;
  }

  allocate(): void {
    const { transformer, chunkSize } = this.#options;
    const { engine, config } = transformer;
    const nTokens = this.#tokens.length;
    this.#hidden = this.#alloc(F32_BYTES * nTokens * config.hiddenSize, "hidden states");
    const ids = this.#alloc(F32_BYTES * nTokens, "tokens");
    engine.write(ids, 0, new Uint8Array(this.#tokens.slice().buffer));
    transformer.embed(this.#hidden, ids, nTokens);
    this.#tables = transformer.createTables(nTokens);
    this.#allocated.push(...this.#tables);
    transformer.fillTables(this.#tables, this.#firstPosition, nTokens);
    this.#workspace = transformer.createWorkspace(Math.min(chunkSize, nTokens));
  }

  release(): void {
    const { transformer } = this.#options;
    if (this.#workspace !== undefined) transformer.freeWorkspace(this.#workspace);
    for (const buffer of this.#allocated) transformer.engine.free(buffer);
  }

  async *layers(): AsyncGenerator<PrefillProgress> {
    const { transformer, cache, compressor } = this.#options;
    const nTokens = this.#tokens.length;
    const { nLayers } = transformer.config;
    const nWanted = Math.max(
      ...transformer.config.layers.map((_, l) => compressor.wantsQueries(l)),
    );
    const queries =
      nWanted > 0 ? this.#alloc(F32_BYTES * nWanted * transformer.qkvStride, "queries") : undefined;
    // Where layers overlap, rows of one are chosen while the next one's chunks are computed.
    const { overlapsLayers } = compressor;
    const isEarly = overlapsLayers && compressor.asksRowsOnly;
    const choices: Promise<KeepLists>[] = [];
    const close = async (l: number): Promise<void> =>
      cache.closeLayer(l, (await choices[l]) ?? null);
    try {
      for (let l = 0; l < nLayers; l++) {
        cache.openLayer(l, nTokens, { compress: compressor.stages(l) });
        const nQueries = Math.min(compressor.wantsQueries(l), nTokens);
        const choose = (): void => {
          const choice = this.#choose(l, queries, nQueries);
          choice.catch(() => undefined); // heard later
          choices[l] = choice;
        };
        yield* this.#chunks(l, queries, nQueries, isEarly ? choose : undefined);
        if (overlapsLayers && l > 0) await close(l - 1);
        if (!isEarly) choose();
        if (!overlapsLayers) await close(l);
      }
    } finally {
      await Promise.allSettled(choices); // what they use must not be freed under them
    }
    if (overlapsLayers) await close(nLayers - 1);
  }

  /** All that the engine is asked for before the next layer's chunks is asked for at once. */
  #choose(l: number, queries: EngineBuffer | undefined, nQueries: number): Promise<KeepLists> {
    const { compressor } = this.#options;
    const first = this.#firstPosition + this.#tokens.length - nQueries;
    return queries !== undefined && nQueries > 0
      ? compressor.compressLayer(l, queries, first, nQueries)
      : compressor.compressLayer(l, this.hidden, first, 0);
  }

  /**
   * All chunks through layer `l`; the last `nQueries` rotated queries are copied to `queries`.
   * @param appended Called when those and all rows are there, before the rest of the last chunk.
   */
  async *#chunks(
    l: number,
    queries: EngineBuffer | undefined,
    nQueries: number,
    appended: (() => void) | undefined,
  ): AsyncGenerator<PrefillProgress> {
    const { transformer, cache, compressor, chunkSize, signal } = this.#options;
    const { engine, config } = transformer;
    const workspace = this.#workspace;
    if (workspace === undefined) throw new Error("Broken invariant: allocate comes first");
    const nTokens = this.#tokens.length;
    const rows = cache.openRows(l);
    for (let begin = 0; begin < nTokens; begin += chunkSize) {
      throwIfAborted(signal, "read the prompt");
      const n = Math.min(chunkSize, nTokens - begin);
      const part = (buffer: EngineBuffer, size: number): EngineBuffer =>
        engine.slice(buffer, F32_BYTES * begin * size, F32_BYTES * n * size);
      const x = part(this.hidden, config.hiddenSize);
      const tables = this.#tables.map((table) => part(table, config.headDim));
      const firstPosition = this.#firstPosition + begin;
      const sums = compressor.columnSums(l);
      const rotated = (): void => {
        if (queries !== undefined) this.#keepQueries(queries, nQueries, workspace.qkv, begin, n);
        if (begin + n === nTokens) appended?.();
      };
      transformer.layer(workspace, l, x, rows, tables, firstPosition, n, sums, rotated);
      const table = transformer.tableOf(l, tables);
      compressor.chunk(l, { qkv: workspace.qkv, table, firstPosition, nTokens: n });
      await this.#yielder.pause();
      yield { done: l * nTokens + begin + n, total: config.nLayers * nTokens };
    }
  }

  /** Copies those of the newest `nQueries` that are among `n` from token `begin` on. */
  #keepQueries(
    queries: EngineBuffer,
    nQueries: number,
    qkv: EngineBuffer,
    begin: number,
    n: number,
  ): void {
    const { engine, qkvStride } = this.#options.transformer;
    const first = this.#tokens.length - nQueries;
    const from = Math.max(begin, first);
    if (from >= begin + n) return;
    const stride = F32_BYTES * qkvStride;
    const byteLength = (begin + n - from) * stride;
    engine.copy(queries, (from - first) * stride, qkv, (from - begin) * stride, byteLength);
  }

  #alloc(byteLength: number, label: string): EngineBuffer {
    const buffer = this.#options.transformer.engine.alloc(byteLength, label);
    this.#allocated.push(buffer);
    return buffer;
  }
}

// Has the engine measure the signals of one layer of a prompt, and brings them to host memory. It
// knows which signals there are; what they are for is the method's matter. Used by compress.ts.
//
//   chunk (per chunk of the layer) -> read (once) -> the next layer's chunks ... -> free
import type { KvCache } from "../cache/kv-cache.ts";
import type { Needs, RowSums, SignalName, Signals } from "../compression/method.ts";
import type { EngineBuffer, LayerRows, SumsLayout, Weight } from "../engine/engine.ts";
import { assert } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { ColumnSums } from "../model/transformer.ts";
import {
  attendShape,
  clear,
  F32_BYTES,
  longestOf,
  type MeasureEngine,
  outputNorms,
  qkvStride,
  queryStats,
  readSums,
  RowReader,
  rowsByteLength,
  statByteLength,
} from "./read-signals.ts";

export interface MeasureParts {
  readonly engine: MeasureEngine;
  readonly cache: KvCache;
  readonly config: ModelConfig;
  readonly needs: Needs;
  /** The output projection of layer `l`, for `valueOutputNorms`. */
  readonly outputWeight?: ((l: number) => Weight) | undefined;
}

/** Tokens that went through a layer: `qkv` as after `Engine.ropeAppend`, `table` its angles. */
export interface LayerQueries {
  readonly qkv: EngineBuffer;
  readonly table: EngineBuffer;
  readonly firstPosition: number;
  readonly nTokens: number;
}

/** What can be measured when a prompt's rows are complete, and at a decode step. */
export const measuredInPrefill: readonly SignalName[] = [
  ...(["window", "lastRow", "colSum", "queryStats"] as const),
  ...(["keys", "keysRaw", "values", "valueOutputNorms"] as const),
];
export const measuredInDecode = measuredInPrefill.filter((name) => name !== "window");

/** Those that are rows themselves. */
export const rowSignals: readonly SignalName[] = ["keys", "keysRaw", "values"];

/** Bytes that measuring one layer of `nRows` rows per head holds. */
export function measureByteLength(needs: Needs, config: ModelConfig, nRows: number): number {
  const { nHeads } = config;
  const wants = (name: SignalName): boolean => needs.prefill.includes(name);
  const nSums = [wants("window") || wants("lastRow") || wants("valueOutputNorms"), wants("colSum")];
  const sumBytes = nSums.filter(Boolean).length * nHeads * nRows * F32_BYTES;
  const statBytes = wants("queryStats") ? statByteLength(config) : 0;
  const rowBytes = needs.prefill.some((name) => rowSignals.includes(name))
    ? rowsByteLength(config, nRows)
    : 0;
  return sumBytes + statBytes + rowBytes;
}

export class Measurer {
  readonly #parts: MeasureParts;
  readonly #windowSize: number;
  readonly #nRows: number;
  readonly #buffers: EngineBuffer[] = [];
  readonly #sums: EngineBuffer | undefined;
  readonly #colSums: EngineBuffer | undefined;
  readonly #stats: EngineBuffer | undefined;
  readonly #rows: RowReader | undefined;
  #nColQueries = 0;
  /** The chunk that comes next has its column sums already. */
  #isSummed = false;
  #nStatQueries = 0;

  /**
   * @param nRows The longest head of any layer.
   * @param windowSize Queries of the signal `window`.
   * @throws {KvasirError} `out-of-memory`; then nothing stays allocated.
   */
  constructor(parts: MeasureParts, nRows: number, windowSize: number) {
    const { config, needs, engine } = parts;
    const wants = (...names: readonly SignalName[]): boolean =>
      needs.prefill.some((name) => names.includes(name));
    this.#parts = parts;
    this.#nRows = nRows;
    this.#windowSize = windowSize;
    try {
      const sumBytes = config.nHeads * nRows * F32_BYTES;
      if (wants("window", "lastRow", "valueOutputNorms"))
        this.#sums = this.#alloc(sumBytes, "sums");
      if (wants("colSum")) this.#colSums = this.#alloc(sumBytes, "column sums");
      if (wants("queryStats")) this.#stats = this.#alloc(statByteLength(config), "query sums");
      if (wants(...rowSignals)) {
        const cells = this.#alloc(rowsByteLength(config, nRows), "rows");
        this.#rows = new RowReader(engine, cells, nRows, config);
      }
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /**
   * Where the attention of the next chunk of layer `l` is to add up its columns, if it can; whoever
   * asks does so, else `chunk` measures them.
   */
  columnSums(l: number): ColumnSums | undefined {
    const { engine, config } = this.#parts;
    const out = this.#colSums;
    // What is measured looks at all rows, also where the layer's own attention does not.
    const isSame = config.layers[l]?.window === 0;
    if (out === undefined || engine.attendAndSum === undefined || !isSame) return undefined;
    this.#isSummed = true;
    return { out, layout: this.#columnLayout };
  }

  /** Tokens of layer `l` have been appended to `cache.openRows(l)` and are still in `qkv`. */
  chunk(l: number, { qkv, table, firstPosition, nTokens }: LayerQueries): void {
    const { engine, cache, config } = this.#parts;
    if (this.#colSums !== undefined) {
      if (!this.#isSummed) {
        const [rows, shape] = [cache.openRows(l), attendShape(config)];
        const layout = this.#columnLayout;
        engine.measureWindow(this.#colSums, qkv, rows, shape, firstPosition, nTokens, layout);
      }
      this.#isSummed = false;
      this.#nColQueries += nTokens;
    }
    if (this.#stats !== undefined) {
      if (this.#nStatQueries === 0) clear(engine, this.#stats);
      const nSkipped = Math.min(
        nTokens,
        Math.max(0, (this.#parts.needs.nSink ?? 0) - firstPosition),
      );
      const n = nTokens - nSkipped;
      if (n === 0) return;
      const part = (buffer: EngineBuffer, size: number): EngineBuffer =>
        engine.slice(buffer, nSkipped * size * F32_BYTES, n * size * F32_BYTES);
      const queries = part(qkv, qkvStride(config));
      engine.measureQueries(this.#stats, queries, part(table, config.headDim), config, n);
      this.#nStatQueries += n;
    }
  }

  /**
   * The signals of layer `l`, whose prompt is complete; the next layer begins, at once: all that the
   * engine is asked for is recorded before anything is waited for.
   * @param queries The newest `nQueries` tokens, rotated.
   */
  async read(
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<Partial<Signals>> {
    const { engine, cache, config, needs } = this.#parts;
    const rows = cache.openRows(l);
    const parts: Promise<Partial<Signals>>[] = [];
    for (const name of needs.prefill) {
      if (name === "window" || name === "lastRow") {
        const nUsed = name === "window" ? Math.min(this.#windowSize, nQueries) : 1;
        const sums = this.#attention(rows, queries, firstPosition, nQueries, nUsed);
        parts.push(sums.then((read) => ({ [name]: read })));
      }
    }
    if (this.#colSums !== undefined) {
      const nSummed = this.#nColQueries;
      const sums = readSums(engine, this.#colSums, 0, rows, config.nHeads, this.#nRows);
      parts.push(sums.then((read) => ({ colSum: { ...read, nQueries: nSummed } })));
    }
    if (this.#stats !== undefined) {
      if (this.#nStatQueries === 0) clear(engine, this.#stats);
      const stats = queryStats(engine, this.#stats, config, this.#nStatQueries);
      parts.push(stats.then((read) => ({ queryStats: read })));
    }
    if (this.#rows !== undefined) parts.push(this.#rows.read(l, rows, needs.prefill));
    if (needs.prefill.includes("valueOutputNorms") && this.#sums !== undefined) {
      const weight = this.#parts.outputWeight?.(l);
      const norms = outputNorms(engine, config, rows, this.#sums, weight);
      parts.push(norms.then((valueOutputNorms) => ({ valueOutputNorms })));
    }
    this.#nColQueries = 0;
    this.#nStatQueries = 0;
    return Object.assign({}, ...(await Promise.all(parts))) as Partial<Signals>;
  }

  get #columnLayout(): SumsLayout {
    return { stride: this.#nRows, isAdded: this.#nColQueries > 0 };
  }

  free(): void {
    for (const buffer of this.#buffers.splice(0)) this.#parts.engine.free(buffer);
  }

  async #attention(
    rows: LayerRows,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
    nUsed: number,
  ): Promise<RowSums> {
    const { engine, config } = this.#parts;
    const sums = this.#sums;
    assert(sums !== undefined && nUsed > 0 && nUsed <= nQueries, "read gets the queries it wants");
    const nSkipped = nQueries - nUsed;
    const strideBytes = qkvStride(config) * F32_BYTES;
    const used =
      nSkipped === 0 ? queries : engine.slice(queries, nSkipped * strideBytes, nUsed * strideBytes);
    engine.measureWindow(sums, used, rows, attendShape(config), firstPosition + nSkipped, nUsed);
    const read = await readSums(engine, sums, 0, rows, config.nHeads, longestOf(rows));
    return { ...read, nQueries: nUsed };
  }

  #alloc(byteLength: number, label: string): EngineBuffer {
    const buffer = this.#parts.engine.alloc(byteLength, `measure.${label}`);
    this.#buffers.push(buffer);
    return buffer;
  }
}

// The signals of decode steps: recorded layer by layer while a token goes through the model, read when
// the step is done. Sums over several steps stay on the engine. Used by compress.ts.
//
//   begin -> layer (per layer) -> read (per layer) -> restart
import type { SignalName, Signals } from "../compression/method.ts";
import type { EngineBuffer } from "../engine/engine.ts";
import type { ModelConfig } from "../model/config.ts";
import { type LayerQueries, type MeasureParts, rowSignals } from "./measure.ts";
import {
  attendShape,
  clear,
  F32_BYTES,
  type MeasureEngine,
  outputNorms,
  queryStats,
  readSums,
  RowReader,
  rowsByteLength,
  statByteLength,
} from "./read-signals.ts";

/** Signals that are sums of softmax rows. */
const rowSums = ["lastRow", "colSum"] as const;

/** Bytes that measuring steps over heads of at most `nRows` rows holds. */
export function stepByteLength(
  wanted: readonly SignalName[],
  config: ModelConfig,
  nRows: number,
): number {
  const sumBytes = config.nHeads * nRows * F32_BYTES;
  const nSums = rowSums.filter((name) => wanted.includes(name)).length;
  const hasRows = wanted.some((name) => rowSignals.includes(name));
  return (
    nSums * config.nLayers * sumBytes +
    (wanted.includes("queryStats") ? config.nLayers * statByteLength(config) : 0) +
    (wanted.includes("valueOutputNorms") ? sumBytes : 0) +
    (hasRows ? rowsByteLength(config, nRows) : 0)
  );
}

export class StepMeasurer {
  readonly #parts: MeasureParts;
  readonly #engine: MeasureEngine;
  readonly #buffers = new Map<SignalName | "rows", EngineBuffer>();
  /** Rows per head that the buffers have room for. */
  #stride = 0;
  #isDue = false;
  #nSums = 0;
  #nStats = 0;

  constructor(parts: MeasureParts) {
    this.#parts = parts;
    this.#engine = parts.engine;
  }

  /**
   * Makes room for heads of `nRows` rows.
   * @param isDue The signals of this step will be read.
   * @throws {KvasirError} `out-of-memory`; what was summed up is as before.
   */
  begin(nRows: number, isDue: boolean): void {
    this.#isDue = isDue;
    if (nRows > this.#stride) this.#grow(nRows);
  }

  /** The step's token went through layer `l`; its row is the newest. */
  layer(l: number, { qkv, table, firstPosition }: LayerQueries): void {
    const { cache, config, needs } = this.#parts;
    const engine = this.#engine;
    for (const name of rowSums) {
      const buffer = this.#buffers.get(name);
      if (buffer === undefined || (name === "lastRow" && !this.#isDue)) continue;
      const size = config.nHeads * this.#stride * F32_BYTES;
      const layout = { stride: this.#stride, isAdded: name === "colSum" && this.#nSums > 0 };
      const out = engine.slice(buffer, l * size, size);
      const shape = attendShape(config);
      engine.measureWindow(out, qkv, cache.layer(l), shape, firstPosition, 1, layout);
    }
    const stats = this.#buffers.get("queryStats");
    const isLast = l === config.nLayers - 1;
    if (stats !== undefined && firstPosition >= (needs.nSink ?? 0)) {
      if (l === 0 && this.#nStats === 0) clear(engine, stats);
      const size = statByteLength(config);
      engine.measureQueries(engine.slice(stats, l * size, size), qkv, table, config, 1);
      if (isLast) this.#nStats++;
    }
    if (isLast) this.#nSums++;
  }

  /** The signals of layer `l` at a step that is due. */
  async read(l: number): Promise<Partial<Signals>> {
    const { cache, config, needs, outputWeight } = this.#parts;
    const engine = this.#engine;
    const rows = cache.layer(l);
    const signals: { -readonly [Name in SignalName]?: Signals[Name] } = {};
    const stride = this.#stride;
    for (const name of rowSums) {
      const buffer = this.#buffers.get(name);
      if (buffer === undefined) continue;
      const at = l * config.nHeads * stride * F32_BYTES;
      const sums = await readSums(engine, buffer, at, rows, config.nHeads, stride);
      signals[name] = { ...sums, nQueries: name === "colSum" ? this.#nSums : 1 };
    }
    const stats = this.#buffers.get("queryStats");
    if (stats !== undefined) {
      if (this.#nStats === 0) clear(engine, stats);
      const size = statByteLength(config);
      const sums = engine.slice(stats, l * size, size);
      signals.queryStats = await queryStats(engine, sums, config, this.#nStats);
    }
    const cells = this.#buffers.get("rows");
    if (cells !== undefined) {
      const reader = new RowReader(engine, cells, stride, config);
      Object.assign(signals, await reader.read(l, rows, needs.decode));
    }
    const norms = this.#buffers.get("valueOutputNorms");
    if (norms !== undefined) {
      signals.valueOutputNorms = await outputNorms(engine, config, rows, norms, outputWeight?.(l));
    }
    return signals;
  }

  /** Sums begin anew: rows were dropped, or the method has had them. */
  restart(): void {
    this.#nSums = 0;
    this.#nStats = 0;
  }

  free(): void {
    for (const buffer of this.#buffers.values()) this.#engine.free(buffer);
    this.#buffers.clear();
    this.#stride = 0;
    this.restart();
  }

  #grow(nRows: number): void {
    const { config, needs } = this.#parts;
    const made = new Map<SignalName | "rows", EngineBuffer>();
    const sizes = new Map<SignalName | "rows", number>();
    const sumBytes = config.nHeads * nRows * F32_BYTES;
    for (const name of needs.decode) {
      if (name === "lastRow" || name === "colSum") sizes.set(name, config.nLayers * sumBytes);
      if (name === "valueOutputNorms") sizes.set(name, sumBytes);
      if (name === "queryStats" && !this.#buffers.has(name)) {
        sizes.set(name, config.nLayers * statByteLength(config));
      }
      if (rowSignals.includes(name)) sizes.set("rows", rowsByteLength(config, nRows));
    }
    try {
      for (const [name, byteLength] of sizes) {
        made.set(name, this.#engine.alloc(byteLength, `measure.step.${name}`));
      }
    } catch (error) {
      for (const buffer of made.values()) this.#engine.free(buffer);
      throw error;
    }
    for (const [name, buffer] of made) {
      const before = this.#buffers.get(name);
      if (before !== undefined && name === "colSum") this.#copySums(buffer, nRows, before);
      if (before !== undefined) this.#engine.free(before);
      this.#buffers.set(name, buffer);
    }
    this.#stride = nRows;
  }

  /** Moves the sums of all heads of all layers to a wider stride. */
  #copySums(to: EngineBuffer, stride: number, from: EngineBuffer): void {
    clear(this.#engine, to);
    const { nLayers, nHeads } = this.#parts.config;
    for (let row = 0; row < nLayers * nHeads; row++) {
      const [dst, src] = [row * stride * F32_BYTES, row * this.#stride * F32_BYTES];
      this.#engine.copy(to, dst, from, src, this.#stride * F32_BYTES);
    }
  }
}

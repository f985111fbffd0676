// From what the engine measured to host arrays as methods see them: shapes, averages, one head's rows.
// Used by measure.ts and measure-step.ts.
import type { RowNorms, SignalName, Signals } from "../compression/method.ts";
import type { AttendShape, Engine, EngineBuffer, LayerRows, Weight } from "../engine/engine.ts";
import { KvasirError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";

export type MeasureEngine = Pick<
  Engine,
  | "alloc"
  | "free"
  | "slice"
  | "read"
  | "write"
  | "copy"
  | "gatherRows"
  | "rotateRows"
  | "measureWindow"
  | "attendAndSum"
  | "measureQueries"
  | "readQuerySums"
  | "measureOutputs"
>;

export const F32_BYTES = 4;
export const F64_BYTES = 8;

/** Elements of one token in `qkv`. */
export function qkvStride({ nHeads, nKvHeads, headDim }: ModelConfig): number {
  return (nHeads + 2 * nKvHeads) * headDim;
}

/** All rows count, whatever the layer's own sliding window is: such layers are not evicted from. */
export function attendShape({
  nHeads,
  nKvHeads,
  headDim,
  attentionScale,
}: ModelConfig): AttendShape {
  return { nHeads, nKvHeads, headDim, scale: attentionScale, window: 0 };
}

export function longestOf({ length }: LayerRows): number {
  return Math.max(0, ...length);
}

/** Bytes of the sums behind `queryStats` of one layer. */
export function statByteLength({ nHeads, headDim }: ModelConfig): number {
  return nHeads * headDim * (1 + headDim) * F64_BYTES;
}

/** Bytes that a `RowReader` needs for heads of `nRows` rows. */
export function rowsByteLength({ headDim }: ModelConfig, nRows: number): number {
  return nRows * (2 * headDim + 1) * F32_BYTES;
}

export function clear(engine: MeasureEngine, buffer: EngineBuffer): void {
  engine.write(buffer, 0, new Uint8Array(buffer.byteLength));
}

/** f32[nHeads, nRows] of f32[nHeads, stride] from `byteOffset`, nRows = the longest head. */
export async function readSums(
  engine: MeasureEngine,
  buffer: EngineBuffer,
  byteOffset: number,
  rows: LayerRows,
  nHeads: number,
  stride: number,
): Promise<{ readonly sums: Float32Array; readonly nRows: number }> {
  const nRows = longestOf(rows);
  const all = toF32(await engine.read(buffer, byteOffset, nHeads * stride * F32_BYTES));
  if (nRows === stride) return { sums: all, nRows };
  const sums = new Float32Array(nHeads * nRows);
  for (let head = 0; head < nHeads; head++) {
    sums.set(all.subarray(head * stride, head * stride + nRows), head * nRows);
  }
  return { sums, nRows };
}

/** Mean and covariance of one layer from `sums` of `Engine.measureQueries`, in f64. */
export async function queryStats(
  engine: MeasureEngine,
  sumsBuffer: EngineBuffer,
  { nHeads, headDim }: ModelConfig,
  nQueries: number,
): Promise<Signals["queryStats"]> {
  const sums = await engine.readQuerySums(sumsBuffer, nHeads * headDim * (1 + headDim));
  const mean = new Float32Array(nHeads * headDim);
  const covariance = new Float32Array(nHeads * headDim * headDim);
  const size = headDim * (1 + headDim);
  for (let head = 0; head < nHeads && nQueries > 0; head++) {
    const own = sums.subarray(head * size, (head + 1) * size);
    const average = own.subarray(0, headDim).map((sum) => sum / nQueries);
    mean.set(average, head * headDim);
    for (let i = 0; i < headDim; i++) {
      for (let j = i; j < headDim; j++) {
        const product = (own[headDim + i * headDim + j] ?? 0) / nQueries;
        const value = product - (average[i] ?? 0) * (average[j] ?? 0);
        const at = head * headDim * headDim;
        covariance[at + i * headDim + j] = value;
        covariance[at + j * headDim + i] = value;
      }
    }
  }
  return { mean, covariance, nQueries };
}

/** `valueOutputNorms` of `rows`, measured into `out` f32[nHeads, longest head or more]. */
export async function outputNorms(
  engine: MeasureEngine,
  config: ModelConfig,
  rows: LayerRows,
  out: EngineBuffer,
  weight: Weight | undefined,
): Promise<RowNorms> {
  if (weight === undefined) {
    throw new KvasirError(
      "unsupported-option",
      "Cannot measure valueOutputNorms: the layer's output projection is not at hand",
    );
  }
  const nRows = longestOf(rows);
  engine.measureOutputs(out, rows, weight, config);
  return { norms: toF32(await engine.read(out, 0, config.nHeads * nRows * F32_BYTES)), nRows };
}

export function toF32(bytes: Uint8Array): Float32Array {
  const isAligned = bytes.byteOffset % F32_BYTES === 0;
  const own = isAligned ? bytes : bytes.slice();
  return new Float32Array(own.buffer, own.byteOffset, own.byteLength / F32_BYTES);
}

/** Brings keys and values of a layer to the host, one head at a time through one f32 buffer. */
export class RowReader {
  readonly #engine: MeasureEngine;
  readonly #config: ModelConfig;
  readonly #nRows: number;
  /** Every row, in order. */
  readonly #all: Uint32Array;
  readonly #parts: readonly [EngineBuffer, EngineBuffer, EngineBuffer];

  /** @param cells f32[nRows, 2 headDim + 1]. */
  constructor(engine: MeasureEngine, cells: EngineBuffer, nRows: number, config: ModelConfig) {
    const cellBytes = nRows * config.headDim * F32_BYTES;
    this.#engine = engine;
    this.#config = config;
    this.#nRows = nRows;
    this.#all = new Uint32Array(nRows).map((_, row) => row);
    this.#parts = [
      engine.slice(cells, 0, cellBytes),
      engine.slice(cells, cellBytes, cellBytes),
      engine.slice(cells, 2 * cellBytes, nRows * F32_BYTES),
    ];
  }

  async read(
    l: number,
    rows: LayerRows,
    names: readonly SignalName[],
  ): Promise<Pick<Partial<Signals>, "keys" | "keysRaw" | "values">> {
    const reads = { keys: [], keysRaw: [], values: [] } as Record<string, Promise<Float32Array>[]>;
    const wanted = (["keys", "values", "keysRaw"] as const).filter((name) => names.includes(name));
    for (let head = 0; head < rows.nKvHeads; head++) {
      const plain = this.#load(rows, head);
      const byteLength = (plain.length[0] ?? 0) * rows.headDim * F32_BYTES;
      for (const name of wanted) {
        if (name === "keysRaw") this.#unrotate(l, plain);
        const from = name === "values" ? plain.values : plain.keys;
        reads[name]?.push(this.#engine.read(from, 0, byteLength).then(toF32));
      }
    }
    const lists = wanted.map(async (name) => [name, await Promise.all(reads[name] ?? [])] as const);
    return Object.fromEntries(await Promise.all(lists));
  }

  /** One head's rows in f32. */
  #load(rows: LayerRows, head: number): LayerRows {
    const length = rows.length[head] ?? 0;
    const [keys, values, positions] = this.#parts;
    const shape = { nKvHeads: 1, headDim: rows.headDim };
    const dst: LayerRows = {
      ...{ ...shape, codec: "f32", keys, values, positions },
      start: Uint32Array.of(0),
      length: Uint32Array.of(0),
      capacity: Uint32Array.of(this.#nRows),
    };
    const src: LayerRows = {
      ...{ ...shape, codec: rows.codec },
      ...{ keys: rows.keys, values: rows.values, positions: rows.positions },
      start: Uint32Array.of(rows.start[head] ?? 0),
      length: Uint32Array.of(length),
      capacity: Uint32Array.of(rows.capacity[head] ?? 0),
    };
    if (length > 0) this.#engine.gatherRows(dst, src, [this.#all.subarray(0, length)]);
    return dst;
  }

  /** Keys as they were at position 0: exact for every rotation by position times frequency. */
  #unrotate(l: number, rows: LayerRows): void {
    const rope = this.#config.layers[l]?.rope;
    const nRows = rows.length[0] ?? 0;
    if (rope === undefined || nRows === 0) return;
    this.#engine.rotateRows(rows, [new Uint32Array(nRows)], rope, this.#config.ropeStyle);
  }
}

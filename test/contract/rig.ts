// What the contract's cases stand on: one engine with the buffers of one case, and the comparison of
// two engines on the same case.
import { expect } from "vitest";
import type {
  Activations,
  CodecName,
  Engine,
  EngineBuffer,
  LayerRows,
  Norm,
  Weight,
} from "../../src/engine/engine.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../src/gguf/tensor-type.ts";
import { nmse } from "../support/matchers.ts";
import { decodeRows, encodeRows } from "../support/random-blocks.ts";

/** Bounds on the NMSE against the reference. */
export interface Tolerances {
  readonly activations: Activations;
  /** Ops that multiply by a weight; the reference rounds activations as the engine does. */
  readonly project: number;
  /** The same ops against a reference that does not round activations. */
  readonly projectExact: number;
  /** Types that a q8 engine multiplies in f32 all the same. */
  readonly f32Types: readonly TensorTypeName[];
  /** Types whose combined scales (block times sub-block) the engine narrows to f16, and the bound. */
  readonly narrowed: { readonly types: readonly TensorTypeName[]; readonly nmse: number };
  readonly norm: number;
  readonly rope: number;
  /** Rotated keys after rounding to f16: a last bit of f32 may decide a last bit of f16. */
  readonly ropeHalf: number;
  readonly attend: number;
  readonly window: number;
}

export const F32_TOLERANCES: Tolerances = {
  activations: "f32",
  project: 1e-11,
  projectExact: 1e-11,
  f32Types: [],
  narrowed: { types: [], nmse: 1e-11 },
  norm: 1e-12,
  rope: 1e-12,
  ropeHalf: 1e-8,
  attend: 1e-11,
  window: 1e-11,
};

/**
 * For a q8 engine that stores combined scales as f16. Measured on these random inputs: int8
 * activations cost about 3e-5, narrowed scales at most 2e-7.
 */
export const Q8_TOLERANCES: Tolerances = {
  ...F32_TOLERANCES,
  activations: "q8",
  project: 1e-9,
  projectExact: 1e-4,
  f32Types: ["F32", "F16", "BF16", "Q2_K", "Q3_K", "IQ4_XS"],
  narrowed: { types: ["Q4_K", "Q5_K", "Q6_K"], nmse: 5e-7 },
};

/** The bound for an op on weights of these types: `plain`, or the wider one of narrowed scales. */
export function boundOf(
  { narrowed }: Tolerances,
  plain: number,
  types: readonly TensorTypeName[],
): number {
  return types.some((type) => narrowed.types.includes(type)) ? narrowed.nmse : plain;
}

/** The engine under test, the oracle that rounds as it does, and the one that never rounds. */
export interface Engines {
  readonly engine: Engine;
  readonly oracle: Engine;
  readonly exact: Engine;
}

/** The rows of one layer as host data; keys and values f32[sum of capacity, headDim]. */
export interface HostRows {
  readonly codec: CodecName;
  readonly headDim: number;
  readonly length: readonly number[]; // [nKvHeads]
  readonly capacity: readonly number[]; // [nKvHeads]
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly positions: Uint32Array;
}

/** Allocates for one case and forgets nothing. */
export class Rig {
  readonly engine: Engine;
  readonly #buffers: EngineBuffer[] = [];
  readonly #weights: Weight[] = [];

  constructor(engine: Engine) {
    this.engine = engine;
  }

  bytes(data: Uint8Array, label = "bytes"): EngineBuffer {
    const buffer = this.engine.alloc(data.byteLength, label);
    this.#buffers.push(buffer);
    this.engine.write(buffer, 0, data);
    return buffer;
  }

  f32(values: Float32Array): EngineBuffer {
    return this.bytes(bytesOf(values), "f32");
  }

  u32(values: ArrayLike<number>): EngineBuffer {
    return this.bytes(bytesOf(Uint32Array.from(values)), "u32");
  }

  /** f32[n] of NaN: an op that leaves a cell out shows. */
  space(n: number): EngineBuffer {
    return this.f32(new Float32Array(n).fill(NaN));
  }

  norm(weight: Float32Array, eps = 1e-5): Norm {
    return { weight: this.f32(weight), eps };
  }

  /** A matrix, written in two pieces where its rows allow. */
  weight(type: TensorTypeName, nRows: number, nCols: number, blocks: Uint8Array): Weight {
    const weight = this.engine.createWeight(type, type, nRows, nCols);
    this.#weights.push(weight);
    const split = nRows > 8 ? 8 : nRows;
    const splitBytes = split * rowByteLength(TENSOR_TYPES[type], nCols);
    this.engine.writeWeightRows(weight, 0, blocks.subarray(0, splitBytes));
    if (split < nRows) this.engine.writeWeightRows(weight, split, blocks.subarray(splitBytes));
    return weight;
  }

  rows(host: HostRows): LayerRows {
    let next = 0;
    const start = host.capacity.map((capacity) => (next += capacity) - capacity);
    return {
      codec: host.codec,
      nKvHeads: host.capacity.length,
      headDim: host.headDim,
      keys: this.bytes(encodeRows(host.codec, host.keys, host.headDim), "keys"),
      values: this.bytes(encodeRows(host.codec, host.values, host.headDim), "values"),
      positions: this.u32(host.positions),
      start: Uint32Array.from(start),
      length: Uint32Array.from(host.length),
      capacity: Uint32Array.from(host.capacity),
    };
  }

  async readF32(buffer: EngineBuffer, n = buffer.byteLength / 4): Promise<Float32Array> {
    return new Float32Array((await this.engine.read(buffer, 0, n * 4)).slice().buffer);
  }

  async readU32(buffer: EngineBuffer): Promise<Uint32Array> {
    return new Uint32Array((await this.engine.read(buffer, 0, buffer.byteLength)).slice().buffer);
  }

  /** Keys, values and positions of the rows in use, head after head. */
  async readRows(
    rows: LayerRows,
  ): Promise<{ keys: Float32Array; values: Float32Array; positions: Float32Array }> {
    const pick = async (buffer: EngineBuffer, rowBytes: number): Promise<Uint8Array> => {
      const parts: number[] = [];
      for (let head = 0; head < rows.nKvHeads; head++) {
        const [start, length] = [rows.start[head] ?? 0, rows.length[head] ?? 0];
        const bytes = await this.engine.read(buffer, start * rowBytes, length * rowBytes);
        for (const byte of bytes) parts.push(byte);
      }
      return Uint8Array.from(parts);
    };
    const { headDim } = rows;
    const rowBytes = { f32: 4 * headDim, f16: 2 * headDim, q8: headDim + 4 }[rows.codec];
    const positions = await pick(rows.positions, 4);
    return {
      keys: decodeRows(rows.codec, await pick(rows.keys, rowBytes), headDim),
      values: decodeRows(rows.codec, await pick(rows.values, rowBytes), headDim),
      positions: Float32Array.from(new Uint32Array(positions.buffer)),
    };
  }

  release(): void {
    this.#buffers.forEach((buffer) => this.engine.free(buffer));
    this.#weights.forEach((weight) => this.engine.freeWeight(weight));
  }
}

/** Runs one case; whatever an op allocated beyond its life shows in the engine's memory. */
export async function onEngine<T>(engine: Engine, run: (rig: Rig) => Promise<T>): Promise<T> {
  const before = engine.memory();
  const rig = new Rig(engine);
  const result = await run(rig);
  rig.release();
  expect(engine.memory().bytes, "bytes after the case").toBe(before.bytes);
  expect(engine.memory().weightBytes, "weight bytes after the case").toBe(before.weightBytes);
  return result;
}

/** NMSE of `engine` against `oracle` on one case is at most `bound`. */
export async function expectSame(
  engine: Engine,
  oracle: Engine,
  bound: number,
  seed: number,
  run: (rig: Rig) => Promise<Float32Array>,
): Promise<void> {
  const expected = await onEngine(oracle, run);
  const actual = await onEngine(engine, run);
  expectNmse(actual, expected, bound, seed);
}

export function expectNmse(
  actual: Float32Array,
  expected: Float32Array,
  bound: number,
  seed: number,
): void {
  expect(nmse(actual, expected), `NMSE, seed ${seed}`).toBeLessThanOrEqual(bound);
}

/** Fewer cells than this may cancel by chance, and then the loose bound says nothing. */
const N_CELLS_FOR_LOOSE = 200;

/** `expectSame` for an op that multiplies by weights: tight as the engine rounds, loose as nobody does. */
export async function expectProjection(
  { engine, oracle, exact }: Engines,
  bounds: { readonly tight: number; readonly loose: number },
  seed: number,
  run: (rig: Rig) => Promise<Float32Array>,
): Promise<void> {
  const actual = await onEngine(engine, run);
  expectNmse(actual, await onEngine(oracle, run), bounds.tight, seed);
  if (engine.activations === "f32" || actual.length < N_CELLS_FOR_LOOSE) return;
  expectNmse(actual, await onEngine(exact, run), bounds.loose, seed);
}

/** Bit for bit; Vitest's own deep equality takes seconds on large arrays. */
export function expectBits(
  actual: Float32Array,
  expected: Float32Array | undefined,
  message: string,
): void {
  const [a, b] = [bytesOf(actual), bytesOf(expected ?? new Float32Array())];
  expect(a.length, message).toBe(b.length);
  const first = a.findIndex((byte, i) => byte !== b[i]);
  expect(first, `first byte that differs, ${message}`).toBe(-1);
}

export function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

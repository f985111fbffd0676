// Matrices on the GPU: rows as weight-layout.ts has them, in a few large buffers, so that matrices
// that are multiplied together are bound together.
import { assert } from "../../../errors.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../../gguf/tensor-type.ts";
import type { Weight } from "../../engine.ts";
import type { Allocation } from "../device/device.ts";
import type { OpContext } from "../ops/op-context.ts";
import { type RowWords, rowWords } from "./weight-layout.ts";
import { packRows } from "./weight-packing.ts";

/** Of a buffer for weights when nothing was reserved. */
const MIN_CHUNK_BYTES = 1 << 18;
const ALIGNMENT = 16;
/** Rows that are written together (`Engine.writeWeightRows`). */
const ROW_STEP = 8;

/** Consecutive rows of a matrix; all of them where one binding can hold it. */
export interface WeightPart {
  readonly chunk: Chunk;
  readonly byteOffset: number;
  readonly firstRow: number;
  readonly nRows: number;
}

export class GpuWeight implements Weight {
  readonly label: string;
  readonly type: TensorTypeName;
  readonly nRows: number;
  readonly nCols: number;
  readonly byteLength: number;
  readonly words: RowWords;
  readonly parts: readonly WeightPart[];
  isFreed = false;

  constructor(
    label: string,
    type: TensorTypeName,
    [nRows, nCols]: readonly [number, number],
    parts: readonly WeightPart[],
  ) {
    this.label = label;
    this.type = type;
    this.nRows = nRows;
    this.nCols = nCols;
    this.byteLength = weightByteLength(type, nRows, nCols);
    this.words = rowWords(type, nCols);
    this.parts = parts;
  }
}

/** The matrix as this engine made it, still alive. */
export function liveWeight(weight: Weight): GpuWeight {
  if (!(weight instanceof GpuWeight)) assert(false, `"${weight.label}" belongs to another engine`);
  if (weight.isFreed) assert(false, `weight "${weight.label}" is used after it was freed`);
  return weight;
}

export function weightByteLength(type: TensorTypeName, nRows: number, nCols: number): number {
  return nRows * rowWords(type, nCols).total * 4;
}

interface Range {
  byteOffset: number;
  byteLength: number;
}

/** One buffer that weights share; first fit over its free ranges. */
class Chunk {
  readonly allocation: Allocation;
  readonly #free: Range[]; // ascending, never adjacent
  #nTaken = 0;

  constructor(allocation: Allocation) {
    this.allocation = allocation;
    this.#free = [{ byteOffset: 0, byteLength: allocation.byteLength }];
  }

  get isEmpty(): boolean {
    return this.#nTaken === 0;
  }

  /** @returns The byte offset, or null where nothing is large enough. */
  take(byteLength: number): number | null {
    const size = aligned(byteLength);
    const index = this.#free.findIndex((range) => range.byteLength >= size);
    const range = this.#free[index];
    if (range === undefined) return null;
    const { byteOffset } = range;
    range.byteOffset += size;
    range.byteLength -= size;
    if (range.byteLength === 0) this.#free.splice(index, 1);
    this.#nTaken++;
    return byteOffset;
  }

  give(byteOffset: number, length: number): void {
    const byteLength = aligned(length);
    this.#nTaken--;
    const after = this.#free.findIndex((range) => range.byteOffset > byteOffset);
    const index = after < 0 ? this.#free.length : after;
    this.#free.splice(index, 0, { byteOffset, byteLength });
    this.#join(index);
    this.#join(index - 1);
  }

  /** Joins the range at `index` with the next one when they touch. */
  #join(index: number): void {
    const [range, next] = [this.#free[index], this.#free[index + 1]];
    if (range === undefined || next === undefined) return;
    if (range.byteOffset + range.byteLength !== next.byteOffset) return;
    range.byteLength += next.byteLength;
    this.#free.splice(index + 1, 1);
  }
}

function aligned(byteLength: number): number {
  return Math.max(ALIGNMENT, Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT);
}

export class Weights {
  readonly #context: OpContext;
  readonly #chunks = new Set<Chunk>();
  #reservedBytes = 0;

  constructor(context: OpContext) {
    this.#context = context;
  }

  /** The next buffers are made for that much together, as far as one may hold. */
  reserve(byteLength: number): void {
    this.#reservedBytes = byteLength;
  }

  /** @throws {KvasirError} `out-of-memory`; nothing is taken then. */
  create(label: string, type: TensorTypeName, nRows: number, nCols: number): GpuWeight {
    const { blockSize } = TENSOR_TYPES[type];
    assert(nCols % blockSize === 0, `"${label}": ${nCols} columns in blocks of ${blockSize}`);
    const rowBytes = rowWords(type, nCols).total * 4;
    const most = Math.floor(this.#maxChunkBytes / rowBytes / ROW_STEP) * ROW_STEP;
    assert(most > 0, `"${label}": eight rows of ${rowBytes} bytes are bound at once`);
    const parts: WeightPart[] = [];
    try {
      for (let firstRow = 0; firstRow < nRows; firstRow += most) {
        const n = Math.min(most, nRows - firstRow);
        parts.push({ ...this.#take(label, n * rowBytes), firstRow, nRows: n });
      }
    } catch (error) {
      this.#give(parts, rowBytes);
      throw error;
    }
    return new GpuWeight(label, type, [nRows, nCols], parts);
  }

  write(weight: GpuWeight, firstRow: number, blocks: Uint8Array): void {
    const { label, type, nCols, nRows, words, parts } = weight;
    const sourceBytes = rowByteLength(TENSOR_TYPES[type], nCols);
    const n = blocks.byteLength / sourceBytes;
    assert(Number.isInteger(n) && firstRow + n <= nRows, `"${label}": whole rows in range`);
    const rowBytes = words.total * 4;
    for (const part of parts) {
      const begin = Math.max(firstRow, part.firstRow);
      const end = Math.min(firstRow + n, part.firstRow + part.nRows);
      if (begin >= end) continue;
      const source = blocks.subarray(
        (begin - firstRow) * sourceBytes,
        (end - firstRow) * sourceBytes,
      );
      const to = part.byteOffset + (begin - part.firstRow) * rowBytes;
      this.#context.recorder.write(part.chunk.allocation, to, packRows(type, nCols, source));
    }
  }

  free(weight: GpuWeight): void {
    weight.isFreed = true;
    this.#give(weight.parts, weight.words.total * 4);
  }

  get #maxChunkBytes(): number {
    const { maxBindingBytes, maxBufferBytes } = this.#context.gpu;
    return Math.floor(Math.min(maxBindingBytes, maxBufferBytes) / ALIGNMENT) * ALIGNMENT;
  }

  #take(label: string, byteLength: number): { chunk: Chunk; byteOffset: number } {
    for (const chunk of this.#chunks) {
      const byteOffset = chunk.take(byteLength);
      if (byteOffset !== null) return { chunk, byteOffset };
    }
    const wanted = Math.max(this.#reservedBytes, MIN_CHUNK_BYTES, aligned(byteLength));
    const size = Math.min(wanted, this.#maxChunkBytes);
    const chunk = new Chunk(this.#context.gpu.allocate(`weights, ${label}`, size));
    this.#reservedBytes = Math.max(0, this.#reservedBytes - size);
    this.#chunks.add(chunk);
    const byteOffset = chunk.take(byteLength);
    assert(byteOffset !== null, `a new chunk has room for "${label}"`);
    return { chunk, byteOffset };
  }

  #give(parts: readonly WeightPart[], rowBytes: number): void {
    for (const { chunk, byteOffset, nRows } of parts) {
      chunk.give(byteOffset, nRows * rowBytes);
      if (!chunk.isEmpty) continue;
      this.#chunks.delete(chunk);
      this.#context.recorder.retire(chunk.allocation);
    }
  }
}

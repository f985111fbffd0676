// Matrices of the reference engine: GGUF blocks as they come, and their values once someone
// multiplies by them.
import { assert } from "../../errors.ts";
import { rowByteLength, TENSOR_TYPES, type TensorTypeName } from "../../gguf/tensor-type.ts";
import { dequantize } from "../../weights/formats/index.ts";
import type { Weight } from "../engine.ts";
import { newBytes } from "./buffers.ts";

export class ReferenceWeight implements Weight {
  readonly label: string;
  readonly type: TensorTypeName;
  readonly nRows: number;
  readonly nCols: number;
  /** The blocks. The values are a copy that the oracle affords for speed; they are not counted. */
  readonly byteLength: number;
  readonly #rowByteLength: number;
  #blocks: Uint8Array | null;
  #values: Float32Array | null = null;

  constructor(label: string, type: TensorTypeName, nRows: number, nCols: number) {
    const { blockSize } = TENSOR_TYPES[type];
    assert(nCols % blockSize === 0, `"${label}": ${nCols} columns in blocks of ${blockSize}`);
    this.label = label;
    this.type = type;
    this.nRows = nRows;
    this.nCols = nCols;
    this.#rowByteLength = rowByteLength(TENSOR_TYPES[type], nCols);
    this.byteLength = nRows * this.#rowByteLength;
    this.#blocks = newBytes(this.byteLength, label);
  }

  writeRows(firstRow: number, blocks: Uint8Array): void {
    const nRows = blocks.byteLength / this.#rowByteLength;
    const endRow = firstRow + nRows;
    assert(Number.isInteger(nRows), `"${this.label}": blocks are whole rows`);
    assert(endRow <= this.nRows, `"${this.label}": row ${endRow} of ${this.nRows}`);
    assert(
      firstRow % 8 === 0 && (nRows % 8 === 0 || endRow === this.nRows),
      `"${this.label}": rows are written in eights, got ${nRows} from ${firstRow}`,
    );
    this.#alive().set(blocks, firstRow * this.#rowByteLength);
    this.#values = null;
  }

  /** f32[nCols], a copy. */
  row(index: number): Float32Array {
    assert(index < this.nRows, `"${this.label}": row ${index} of ${this.nRows}`);
    const start = index * this.#rowByteLength;
    return dequantize(this.type, this.#alive().subarray(start, start + this.#rowByteLength));
  }

  /** f32[nRows, nCols]. */
  values(): Float32Array {
    this.#values ??= dequantize(this.type, this.#alive());
    return this.#values;
  }

  markFreed(): void {
    this.#alive();
    this.#blocks = null;
    this.#values = null;
  }

  #alive(): Uint8Array {
    assert(this.#blocks, `weight "${this.label}" is used after it was freed`);
    return this.#blocks;
  }
}

/** The matrix as this engine made it. */
export function ownWeight(weight: Weight): ReferenceWeight {
  assert(weight instanceof ReferenceWeight, `"${weight.label}" belongs to another engine`);
  return weight;
}

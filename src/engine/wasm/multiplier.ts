// Matrix products: one input, quantised at most once, against several weights.
import { assert } from "../../errors.ts";
import type { WasmWeight } from "./buffers.ts";
import type { Kernels } from "./kernels.ts";
import type { Arena } from "./memory.ts";
import { JOB, ROWS_PER_CHUNK } from "./pool/jobs.ts";
import type { OpScratch } from "./op-scratch.ts";
import type { Pool } from "./pool/pool.ts";

/** Forms of activation codes (rust-kernels/src/ops/block_dot.rs). */
const WIDE = 0;
const NARROW = 1;

export class Multiplier {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;
  /** null: one thread. */
  pool: Pool | null = null;
  #input = 0;
  #nCols = 0;
  #nTokens = 0;
  /** Per form of codes, wide and narrow: where they lie, and whether they are there. */
  readonly #codes = [0, 0];
  readonly #isQuantized = [false, false];
  #scales = 0;
  #sums = 0;
  #work = 0;

  constructor(kernels: Kernels, arena: Arena, scratch: OpScratch) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#scratch = scratch;
  }

  /**
   * Begins an op on an input f32[nTokens, nCols]: takes scratch for its quantised form, and
   * announces `extraBytes` in at most seven parts that the op takes itself.
   */
  begin(nCols: number, nTokens: number, extraBytes: number): void {
    const cells = nCols * this.#kernels.padded_tokens(nTokens);
    const sideBytes = Math.ceil(cells / 32) * 8;
    const nThreads = this.pool?.nThreads ?? 1;
    const workBytes = 4 * nThreads * this.#kernels.mat_mul_scratch_len(nCols);
    this.#scratch.begin(3 * cells + 2 * sideBytes + workBytes + extraBytes, 12);
    this.#codes[WIDE] = this.#scratch.take(2 * cells);
    this.#codes[NARROW] = this.#scratch.take(cells);
    this.#scales = this.#scratch.take(sideBytes);
    this.#sums = this.#scratch.take(sideBytes);
    this.#work = this.#scratch.take(workBytes);
    this.#nCols = nCols;
    this.#nTokens = nTokens;
    this.#isQuantized.fill(false);
  }

  /** Where the input lies, f32. */
  setInput(ptr: number): void {
    this.#input = ptr;
  }

  /** out f32[nTokens, stride] from `column` = weight times input. */
  multiply(weight: WasmWeight, out: number, stride: number, column: number): void {
    const { typeId, ptr, nRows, nCols } = weight;
    if (nCols !== this.#nCols) assert(false, `${weight.label} takes ${this.#nCols} columns`);
    if (!weight.isPacked) {
      this.#multiplyRaw(weight, out, stride, column);
      return;
    }
    const form = this.#kernels.is_narrow(typeId) === 0 ? WIDE : NARROW;
    const codes = this.#codes[form] ?? 0;
    if (this.#isQuantized[form] !== true) {
      this.#kernels.quantize(
        codes,
        this.#scales,
        this.#sums,
        this.#input,
        this.#nTokens,
        nCols,
        form,
      );
      this.#isQuantized[form] = true;
    }
    const { pool } = this;
    if (pool !== null) {
      const { i32 } = pool.args;
      i32[0] = typeId;
      i32[1] = out;
      i32[2] = stride;
      i32[3] = column;
      i32[4] = codes;
      i32[5] = this.#scales;
      i32[6] = this.#sums;
      i32[7] = this.#nTokens;
      i32[8] = ptr;
      i32[9] = nRows;
      i32[10] = nCols;
      pool.run(JOB.matMulPacked, Math.ceil(nRows / ROWS_PER_CHUNK));
      return;
    }
    this.#kernels.mat_mul_packed(
      typeId,
      out,
      stride,
      column,
      codes,
      this.#scales,
      this.#sums,
      this.#nTokens,
      ptr,
      nRows,
      nCols,
      0,
      nRows,
    );
  }

  /** Scratch that `addResiduals` takes, in at most five parts. */
  residualBytes(nTokens: number, nCols: number, nRows: number): number {
    return 4 * nTokens + 4 * nRows + 6 * nCols + Math.ceil(nCols / 32) * 16;
  }

  /**
   * Adds to out f32[nTokens, nRows] what int8 rounded away of tokens with a massive activation: the
   * weight times the residual, quantised in turn. A few tokens of a text have one, in a few layers.
   */
  addResiduals(weight: WasmWeight, out: number): void {
    if (!weight.isPacked) return;
    const { typeId, ptr, nRows, nCols } = weight;
    const [k, scratch] = [this.#kernels, this.#scratch];
    const list = scratch.take(4 * this.#nTokens);
    const n = k.peaked_tokens(list, this.#input, this.#nTokens, nCols);
    if (n === 0) return;
    const sideBytes = Math.ceil(nCols / 32) * 8;
    const rest = scratch.take(4 * nCols);
    const codes = scratch.take(2 * nCols);
    const sides = scratch.take(2 * sideBytes);
    const sums = sides + sideBytes;
    const product = scratch.take(4 * nRows);
    const form = k.is_narrow(typeId) === 0 ? WIDE : NARROW;
    for (let i = 0; i < n; i++) {
      const token = this.#arena.u32[list / 4 + i] ?? 0;
      k.residual(rest, this.#input + 4 * token * nCols, nCols);
      k.quantize(codes, sides, sums, rest, 1, nCols, form);
      k.mat_mul_packed(
        typeId,
        product,
        nRows,
        0,
        codes,
        sides,
        sums,
        1,
        ptr,
        nRows,
        nCols,
        0,
        nRows,
      );
      k.add(out + 4 * token * nRows, product, nRows);
    }
  }

  #multiplyRaw(weight: WasmWeight, out: number, stride: number, column: number): void {
    const { typeId, ptr, nRows, nCols } = weight;
    const { pool } = this;
    if (pool !== null) {
      const { i32 } = pool.args;
      i32[0] = typeId;
      i32[1] = out;
      i32[2] = stride;
      i32[3] = column;
      i32[4] = this.#input;
      i32[5] = this.#nTokens;
      i32[6] = ptr;
      i32[7] = nRows;
      i32[8] = nCols;
      i32[9] = this.#work;
      i32[10] = 4 * this.#kernels.mat_mul_scratch_len(nCols);
      pool.run(JOB.matMulRaw, Math.ceil(nRows / ROWS_PER_CHUNK));
      return;
    }
    this.#kernels.mat_mul_raw(
      typeId,
      out,
      stride,
      column,
      this.#input,
      this.#nTokens,
      ptr,
      nRows,
      nCols,
      0,
      nRows,
      this.#work,
    );
  }
}

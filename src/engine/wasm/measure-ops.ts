// The ops that only methods ask for: query sums, output norms, rows at other positions.
import { assert } from "../../errors.ts";
import { rowByteLength, TENSOR_TYPES } from "../../gguf/tensor-type.ts";
import type { EngineBuffer, HeadShape, LayerRows, RopeShape, Weight } from "../engine.ts";
import { codecId, headPointer, liveWeight, pointer, positionsPointer } from "./buffers.ts";
import type { Kernels } from "./kernels.ts";
import type { Arena } from "./memory.ts";
import type { OpScratch } from "./op-scratch.ts";

/** Rows of the output weight that are dequantised at a time. */
const WEIGHT_ROWS = 64;

export class MeasureOps {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #scratch: OpScratch;

  constructor(kernels: Kernels, arena: Arena, scratch: OpScratch) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#scratch = scratch;
  }

  measureQueries(
    sums: EngineBuffer,
    queries: EngineBuffer,
    table: EngineBuffer,
    { nHeads, nKvHeads, headDim, ropeStyle }: RopeShape,
    nQueries: number,
  ): void {
    const headBytes = 8 * headDim * (1 + headDim);
    const stride = (nHeads + 2 * nKvHeads) * headDim;
    const to = pointer(sums, 0, nHeads * headBytes);
    const q = pointer(queries, 0, 4 * nQueries * stride);
    const angles = pointer(table, 0, 4 * nQueries * headDim);
    const k = this.#kernels;
    const workBytes = 4 * k.query_sums_scratch_len(headDim);
    this.#scratch.begin(workBytes, 1);
    const work = this.#scratch.take(workBytes);
    const style = styleId(ropeStyle);
    for (let head = 0; head < nHeads; head++) {
      const [at, column] = [to + head * headBytes, head * headDim];
      k.query_sums_head(at, q, stride, column, nQueries, headDim, angles, style, work);
    }
  }

  measureOutputs(
    out: EngineBuffer,
    rows: LayerRows,
    weight: Weight,
    { nHeads, nKvHeads, headDim }: HeadShape,
  ): void {
    const { nCols, nRows: nWeights } = weight;
    if (nCols !== nHeads * headDim) assert(false, `${weight.label} takes ${nHeads} heads`);
    const stride = Math.max(...rows.length);
    const to = pointer(out, 0, 4 * nHeads * stride);
    this.#arena.f32.fill(0, to / 4, to / 4 + nHeads * stride);
    const k = this.#kernels;
    const workBytes = 4 * k.output_norms_scratch_len(headDim);
    this.#scratch.begin(workBytes + 4 * WEIGHT_ROWS * nCols, 2);
    const work = this.#scratch.take(workBytes);
    const plain = this.#scratch.take(4 * WEIGHT_ROWS * nCols);
    const codec = codecId(rows);
    for (let first = 0; first < nWeights; first += WEIGHT_ROWS) {
      const n = Math.min(WEIGHT_ROWS, nWeights - first);
      this.#dequantize(plain, weight, first, n);
      for (let head = 0; head < nHeads; head++) {
        const kvHead = Math.floor((head * nKvHeads) / nHeads);
        const values = headPointer(rows, rows.values, kvHead);
        const length = rows.length[kvHead] ?? 0;
        const [at, column] = [to + 4 * head * stride, head * headDim];
        k.add_output_norms(codec, at, values, length, headDim, plain, n, nCols, column, work);
      }
    }
  }

  /** @param frequencies f32[headDim / 2] in the memory. */
  rotateRows(
    rows: LayerRows,
    targets: readonly Uint32Array[],
    frequencies: number,
    ropeStyle: RopeShape["ropeStyle"],
  ): void {
    if (targets.length !== rows.nKvHeads) assert(false, "one list of positions per kv head");
    const longest = Math.max(...rows.length);
    this.#scratch.begin(4 * longest, 1);
    const list = this.#scratch.take(4 * longest);
    const codec = codecId(rows);
    targets.forEach((target, head) => {
      const n = rows.length[head] ?? 0;
      if (target.length !== n) assert(false, `head ${head} has a position for each row`);
      this.#arena.u32.set(target, list / 4);
      this.#kernels.rotate_rows(
        codec,
        headPointer(rows, rows.keys, head),
        positionsPointer(rows, head),
        list,
        n,
        rows.headDim,
        frequencies,
        styleId(ropeStyle),
      );
    });
  }

  /** Rows `first .. first + n` of a weight to f32[n, nCols] at `to`. */
  #dequantize(to: number, weight: Weight, first: number, n: number): void {
    const { isPacked, nCols, ptr, type, typeId } = liveWeight(weight);
    const rowBytes = rowByteLength(TENSOR_TYPES[type], nCols);
    for (let i = 0; i < n; i++) {
      const at = to + 4 * i * nCols;
      if (isPacked) this.#kernels.embed_packed_row(typeId, at, ptr, first + i, nCols, 1);
      else this.#kernels.embed_row(typeId, at, ptr + (first + i) * rowBytes, nCols, 1);
    }
  }
}

/** The kernels' number of a rope style. */
function styleId(ropeStyle: RopeShape["ropeStyle"]): number {
  return ropeStyle === "interleaved" ? 0 : 1;
}

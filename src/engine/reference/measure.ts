// What methods ask for beside attention, by the definition: f64 throughout, rounded once.
import { assert } from "../../errors.ts";
import type {
  EngineBuffer,
  HeadShape,
  LayerRows,
  RopeFrequencies,
  RopeShape,
  Weight,
} from "../engine.ts";
import { own } from "./buffers.ts";
import { dot, frequenciesOf, rotate } from "./ops.ts";
import { readHead, readRows, writeRows } from "./rows.ts";
import { ownWeight } from "./weights.ts";

/** As `Engine.measureQueries`. */
export function measureQueries(
  sums: EngineBuffer,
  queries: EngineBuffer,
  table: EngineBuffer,
  { nHeads, nKvHeads, headDim, ropeStyle }: RopeShape,
  nQueries: number,
): void {
  const stride = (nHeads + 2 * nKvHeads) * headDim;
  const size = headDim * (1 + headDim);
  const bytes = own(sums).bytes(0, 8 * nHeads * size);
  const view = new Float64Array(bytes.buffer, bytes.byteOffset, nHeads * size);
  for (let query = 0; query < nQueries; query++) {
    // The inverse rotation turns by the negative angle.
    const back = own(table)
      .f32(headDim, query * headDim)
      .map((value, i) => (i % 2 === 0 ? value : -value));
    for (let head = 0; head < nHeads; head++) {
      const raw = own(queries)
        .f32(headDim, query * stride + head * headDim)
        .slice();
      rotate(raw, back, ropeStyle);
      const at = head * size;
      for (let i = 0; i < headDim; i++) {
        view[at + i]! += raw[i]!;
        const row = at + headDim * (1 + i);
        for (let j = i; j < headDim; j++) view[row + j]! += raw[i]! * raw[j]!;
      }
    }
  }
}

/** As `Engine.measureOutputs`. */
export function measureOutputs(
  out: EngineBuffer,
  rows: LayerRows,
  weight: Weight,
  { nHeads, nKvHeads, headDim }: HeadShape,
): void {
  const nRows = Math.max(...rows.length);
  const result = own(out).f32(nHeads * nRows);
  const matrix = ownWeight(weight).values();
  result.fill(0);
  for (let head = 0; head < nHeads; head++) {
    const { values } = readHead(rows, Math.floor((head * nKvHeads) / nHeads));
    for (let row = 0; row < values.length / headDim; row++) {
      let sum = 0;
      for (let i = 0; i < weight.nRows; i++) {
        const at = i * weight.nCols + head * headDim;
        sum += Math.abs(dot(matrix, at, values, row * headDim, headDim));
      }
      result[head * nRows + row] = sum;
    }
  }
}

/** As `Engine.rotateRows`. */
export function rotateRows(
  rows: LayerRows,
  targets: readonly Uint32Array[],
  frequencies: RopeFrequencies,
  ropeStyle: RopeShape["ropeStyle"],
): void {
  assert(targets.length === rows.nKvHeads, "one list of positions per kv head");
  const perPosition = frequenciesOf(frequencies);
  targets.forEach((list, head) => {
    assert(list.length === rows.length[head]!, `head ${head} has a position for each row`);
    list.forEach((target, i) => {
      const row = rows.start[head]! + i;
      const position = own(rows.positions).u32(1, row);
      const distance = target - position[0]!;
      if (distance === 0) return;
      const angles = Float32Array.from({ length: rows.headDim }, (_, c) => {
        const angle = distance * perPosition[c >> 1]!;
        return c % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
      });
      const key = readRows(rows, rows.keys, row, 1);
      rotate(key, angles, ropeStyle);
      writeRows(rows, rows.keys, row, key);
      position[0] = target;
    });
  });
}

// Rows for cache tests: random keys and values appended through the engine, and read back.
import type { Engine, LayerRows } from "../../src/engine/engine.ts";
import type { Rng } from "./rng.ts";

/** Appends `nTokens` random rows to each head, at positions `firstPosition ..`. */
export function appendRows(
  engine: Engine,
  rows: LayerRows,
  firstPosition: number,
  nTokens: number,
  rng: Rng,
  nHeads = rows.nKvHeads,
): void {
  const { nKvHeads, headDim } = rows;
  const nCols = (nHeads + 2 * nKvHeads) * headDim;
  const qkv = engine.alloc(nTokens * nCols * 4, "test.qkv");
  const table = engine.alloc(nTokens * headDim * 4, "test.rope");
  engine.write(qkv, 0, new Uint8Array(rng.normals(nTokens * nCols).buffer));
  engine.ropeTable(table, { base: 10000, headDim }, firstPosition, nTokens);
  const shape = { nHeads, nKvHeads, headDim, ropeStyle: "half" } as const;
  engine.ropeAppend(qkv, rows, table, shape, firstPosition, nTokens);
  engine.free(qkv);
  engine.free(table);
}

export interface HeadContent {
  readonly positions: number[];
  /** Stored bytes of each row, key then value. */
  readonly rows: string[];
}

/** What each head holds, bit for bit. */
export async function readRows(engine: Engine, rows: LayerRows): Promise<HeadContent[]> {
  const { headDim } = rows;
  const rowBytes = { f32: 4 * headDim, f16: 2 * headDim, q8: headDim + 4 }[rows.codec];
  const heads: HeadContent[] = [];
  for (let head = 0; head < rows.nKvHeads; head++) {
    const [start, length] = [rows.start[head] ?? 0, rows.length[head] ?? 0];
    const content: HeadContent = { positions: [], rows: [] };
    for (let row = start; row < start + length; row++) {
      const key = await engine.read(rows.keys, row * rowBytes, rowBytes);
      const value = await engine.read(rows.values, row * rowBytes, rowBytes);
      const position = await engine.read(rows.positions, row * 4, 4);
      content.positions.push(new DataView(position.slice().buffer).getUint32(0, true));
      content.rows.push(`${key.join()}|${value.join()}`);
    }
    heads.push(content);
  }
  return heads;
}

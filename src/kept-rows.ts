// Keep lists and positions that no method has to choose, and how much of a signal is kept.
import type { RowSums, Signals } from "./compression/method.ts";

/** The newest `limit` rows of each head. */
export function newest(positions: readonly Uint32Array[], limit: number): Uint32Array[] {
  return positions.map(({ length }) => {
    const nKept = Math.min(limit, length);
    return Uint32Array.from({ length: nKept }, (_, i) => length - nKept + i);
  });
}

/** Per head as many positions as rows, one after the other up to the one before `nextPosition`. */
export function consecutive(lengths: Uint32Array, nextPosition: number): Uint32Array[] {
  return Array.from(lengths, (length) =>
    Uint32Array.from({ length }, (_, row) => nextPosition - length + row),
  );
}

/** The rows of each head whose positions are among `kept`; both ascend. */
export function followLeader(
  positions: readonly Uint32Array[],
  kept: readonly Uint32Array[],
): Uint32Array[] {
  return positions.map((ofHead, head) => {
    const wanted = new Set(kept[head]);
    const rows = Array.from(ofHead.keys()).filter((row) => wanted.has(ofHead[row] ?? -1));
    return Uint32Array.from(rows);
  });
}

/**
 * The share of a layer's observed attention that the rows which stay hold, over all query heads:
 * of the window, else of all queries, else of the newest. null where none was measured.
 *
 * @param keep null or undefined: all rows stay.
 */
export function keptMass(
  signals: Partial<Signals> | undefined,
  keep: readonly Uint32Array[] | undefined,
  nKvHeads: number,
): number | null {
  const observed = signals?.window ?? signals?.colSum ?? signals?.lastRow;
  if (observed === undefined) return null;
  return keep === undefined ? 1 : share(observed, keep, nKvHeads);
}

/** Of each layer that was asked about, as `keptMass`. */
export type KeptMasses = ReadonlyMap<number, number | null>;

export function keptMasses(
  signals: ReadonlyMap<number, Partial<Signals>>,
  lists: ReadonlyMap<number, readonly Uint32Array[]>,
  nKvHeads: number,
): KeptMasses {
  return new Map([...signals].map(([l, own]) => [l, keptMass(own, lists.get(l), nKvHeads)]));
}

function share({ sums, nRows }: RowSums, keep: readonly Uint32Array[], nKvHeads: number): number {
  const nHeads = nRows === 0 ? 0 : sums.length / nRows;
  let [kept, all] = [0, 0];
  for (let head = 0; head < nHeads; head++) {
    // By index: over a long prompt these loops are what a fast engine would wait for.
    const at = head * nRows;
    for (let row = at; row < at + nRows; row++) all += sums[row] ?? 0;
    const ofHead = keep[Math.floor((head * nKvHeads) / nHeads)];
    const nKept = ofHead?.length ?? 0;
    for (let i = 0; i < nKept; i++) kept += sums[at + (ofHead?.[i] ?? 0)] ?? 0;
  }
  return all === 0 ? 1 : Math.min(1, kept / all);
}

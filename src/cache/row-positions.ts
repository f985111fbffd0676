// What the host knows of the original positions of one head's rows, without asking the engine: it is
// needed to roll back and to decide, where a blocking read would cost more than 4 bytes per row.
// The engine's own positions stay the truth that attention uses; tests hold the two together.

/**
 * Ascending positions: those in `list`, then `runStart`, `runStart + 1`, ... up to the newest row.
 * The run may be empty; then `runStart` is the position that the next row will have. Immutable.
 */
export interface RowPositions {
  readonly list: Uint32Array;
  readonly runStart: number;
}

export const noPositions: RowPositions = { list: new Uint32Array(0), runStart: 0 };

/** Ascending positions as such, below `next`: the position that the next row will have. */
export function storedPositions(positions: Uint32Array, next: number): RowPositions {
  return splitRun(positions, next);
}

/** u32[nRows], a fresh array. */
export function listPositions(positions: RowPositions, nRows: number): Uint32Array {
  const { list, runStart } = positions;
  const all = new Uint32Array(nRows);
  all.set(list);
  for (let row = list.length; row < nRows; row++) all[row] = runStart + row - list.length;
  return all;
}

/** The positions of rows `keep` (ascending) of `nRows` rows. */
export function keepPositions(
  positions: RowPositions,
  nRows: number,
  keep: Uint32Array,
): RowPositions {
  const { list, runStart } = positions;
  const kept = keep.map((row) =>
    row < list.length ? (list[row] ?? 0) : runStart + row - list.length,
  );
  return splitRun(kept, runStart + nRows - list.length);
}

/** The rows with positions below `nSeen`, which is the position of the next row from then on. */
export function truncatePositions(
  positions: RowPositions,
  nRows: number,
  nSeen: number,
): { readonly positions: RowPositions; readonly nRows: number } {
  const { list, runStart } = positions;
  if (nSeen >= runStart) {
    return { positions, nRows: Math.min(nRows, list.length + nSeen - runStart) };
  }
  let nKept = list.length;
  while (nKept > 0 && (list[nKept - 1] ?? 0) >= nSeen) nKept--;
  return { positions: splitRun(list.subarray(0, nKept), nSeen), nRows: nKept };
}

/** Takes the gapless end of `kept` that leads up to `next` out of the list. */
function splitRun(kept: Uint32Array, next: number): RowPositions {
  let nList = kept.length;
  let runStart = next;
  while (nList > 0 && kept[nList - 1] === runStart - 1) {
    nList--;
    runStart--;
  }
  return { list: kept.slice(0, nList), runStart };
}

import type { AllocationRequest, Allocator } from "../method.ts";

/**
 * The same number of rows for every layer and head; what does not divide goes to the lowest layers
 * and heads, one row each (one row per head where heads of a layer must be equal).
 */
export const uniform: Allocator = {
  scope: "layer",
  plan({ nLayers, nKvHeads, total, isShared }: AllocationRequest): Uint32Array[] {
    const nCells = nLayers * nKvHeads;
    const each = nCells === 0 ? 0 : Math.floor(total / nCells);
    const nOver = total - each * nCells;
    // With equal heads a rest below nKvHeads is not handed out: the sum stays under the total.
    const nGetMore = isShared ? Math.floor(nOver / nKvHeads) * nKvHeads : nOver;
    return Array.from({ length: nLayers }, (_, layer) =>
      Uint32Array.from({ length: nKvHeads }, (_, head) =>
        layer * nKvHeads + head < nGetMore ? each + 1 : each,
      ),
    );
  },
};

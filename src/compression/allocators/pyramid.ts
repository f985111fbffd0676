import type { AllocationRequest, Allocator } from "../method.ts";

export interface PyramidOptions {
  readonly windowSize: number;
  readonly beta: number;
  readonly form: "exact" | "rounded";
}

/**
 * Rows that fall linearly from the first layer to the last, the same in all heads of a layer.
 *
 * `exact` spends the total to the last row. `rounded` is kvpress's: the window is inside the slope,
 * and layers are rounded one by one, so that with a fraction the sum may be off by half a row a layer.
 */
export function pyramid({ windowSize, beta, form }: PyramidOptions): Allocator {
  return {
    scope: "layer",
    plan(request: AllocationRequest): Uint32Array[] {
      const { nLayers, nKvHeads, nRows, minRows, total, keep, kernels } = request;
      const ofOneHead = Math.floor(total / nKvHeads);
      const shape = { form, nRows, windowSize, beta, minRows };
      const isRounded = form === "rounded";
      const mean = keep === undefined ? total / (nLayers * nKvHeads) : nRows * keep;
      const rows = kernels.pyramid(nLayers, isRounded ? mean : ofOneHead, shape);
      if (isRounded && keep === undefined) trim(rows, ofOneHead);
      const layers = Array.from(rows, (ofLayer) => new Uint32Array(nKvHeads).fill(ofLayer));
      if (!isRounded && !request.isShared) spread(layers, nRows, total - ofOneHead * nKvHeads);
      return layers;
    },
  };
}

/** Takes rows back, from the first layer on, until the sum is not above `most`. */
function trim(rows: Uint32Array, most: number): void {
  let nOver = rows.reduce((sum, n) => sum + n, 0) - most;
  for (let layer = 0; nOver > 0; layer = (layer + 1) % rows.length) {
    rows[layer] = (rows[layer] ?? 0) - 1;
    nOver--;
  }
}

/** Gives `nLeft` rows, fewer than heads, to the first heads of the first layer that has room. */
function spread(layers: readonly Uint32Array[], nRows: number, nLeft: number): void {
  const layer = layers.find((heads) => (heads[0] ?? 0) < nRows);
  for (let head = 0; layer !== undefined && head < nLeft; head++) {
    layer[head] = (layer[head] ?? 0) + 1;
  }
}

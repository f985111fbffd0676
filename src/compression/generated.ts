// Decode apart from the prompt: the prompt's rows are frozen, those of the answer compete for a window
// of their own.
import type { LayerContext, Mutation } from "./method.ts";
import { reserve } from "./selectors/reserve.ts";

/**
 * Keeps all rows of the prompt and of earlier turns, and the best `nKept` of those generated since.
 *
 * @param perHead Per kv head, or one for all: f32[nRows], higher stays.
 * @param nRecent Newest rows that stay whatever they score, as far as `nKept` reaches.
 */
export function keepGenerated(
  context: LayerContext,
  perHead: readonly Float32Array[],
  nKept: number,
  nRecent: number,
): readonly Mutation[] {
  const { sequence, kernels, layer } = context;
  const promptEnd = sequence.seen + sequence.promptLength;
  const rows = perHead.map((scores, head) => {
    const positions = context.rows.positions[head] ?? new Uint32Array(0);
    const n = positions.length;
    const found = positions.findIndex((position) => position >= promptEnd);
    const nFrozen = found < 0 ? n : found;
    const forced = (context.forced[head] ?? new Uint32Array(0))
      .filter((row) => row >= nFrozen)
      .map((row) => row - nFrozen);
    const held = reserve(forced, { nSink: 0, nRecent }, n - nFrozen, nKept);
    const kept = kernels.select(scores.slice(nFrozen, n), nKept, held);
    return Uint32Array.from({ length: nFrozen + kept.length }, (_, i) =>
      i < nFrozen ? i : nFrozen + (kept[i - nFrozen] ?? 0),
    );
  });
  return [{ kind: "keep", layer, rows }];
}

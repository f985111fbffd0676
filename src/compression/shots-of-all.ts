// One choice of shots for all layers, by their summed scores: waits for the last layer.
import type { ComposedState } from "./compose.ts";
import type { MethodParts } from "./define-method.ts";
import type { LayerContext, Mutation, Scorer } from "./method.ts";
import { hasShots, meanOfRows, type ShotOptions, shots, unitsOf } from "./selectors/shots.ts";

export function keepShotsOfAll(
  scorer: Scorer,
  options: ShotOptions,
): Pick<MethodParts<ComposedState>, "scope" | "onPrefillEnd"> {
  return {
    scope: "model",
    onPrefillEnd(contexts: readonly LayerContext<ComposedState>[]): readonly Mutation[] {
      const layers = contexts.map((whole) => {
        const context: LayerContext = { ...whole, state: whole.state.memory };
        const scores = scorer.score(context);
        for (const note of scores.notes ?? []) whole.state.notes.add(note);
        return { context, scores };
      });
      const perLayer = layers.map(({ context, scores }) => {
        const isMarked = hasShots(context);
        const { bounds } = unitsOf(context, scores, options, 0);
        return isMarked ? meanOfRows(context, scores, bounds) : new Float32Array(0);
      });
      const [first] = layers;
      if (first === undefined) return [];
      const nUnits = perLayer[0]?.length ?? 0;
      const all = new Float32Array(nUnits * perLayer.length);
      perLayer.forEach((ofLayer, i) => all.set(ofLayer, i * nUnits));
      const sums = first.context.kernels.groupReduce(all, layers.length, layers.length, "sum");
      const selector = shots(options, () => sums);
      return layers.map(({ context, scores }) => ({
        kind: "keep",
        layer: context.layer,
        rows: selector.select(context, scores, context.budget),
      }));
    },
  };
}

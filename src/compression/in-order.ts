// A wrapper of methods: the rows that stay are rotated to consecutive positions (methods.md 0.7).
import type { MethodParts } from "./define-method.ts";
import type { LayerContext, MethodState, Mutation } from "./method.ts";

type Hook<State> = (context: LayerContext<State>) => readonly Mutation[];

/**
 * The method with the rows of each head one after the other up to the newest, which stays where it
 * is: distances to the rows before it shrink, those among the newest rows do not change.
 */
export function rowsInOrder<State = MethodState>(parts: MethodParts<State>): MethodParts<State> {
  const { onPrefillLayer, onDecodeStep } = parts;
  return {
    ...parts,
    ...(onPrefillLayer && { onPrefillLayer: inOrder(onPrefillLayer.bind(parts)) }),
    ...(onDecodeStep && { onDecodeStep: inOrder(onDecodeStep.bind(parts)) }),
  };
}

function inOrder<State>(run: Hook<State>): Hook<State> {
  return (context) => {
    const mutations = run(context);
    const kept = mutations.find((mutation) => mutation.kind === "keep")?.rows;
    const positions = context.rows.positions.map((ofHead, head) => {
      const length = (kept?.length === 1 ? kept[0] : kept?.[head])?.length ?? ofHead.length;
      const next = (ofHead.at(-1) ?? -1) + 1;
      return Uint32Array.from({ length }, (_, row) => next - length + row);
    });
    return [...mutations, { kind: "rerotate", layer: context.layer, positions }];
  };
}

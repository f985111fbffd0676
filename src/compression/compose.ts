// A method from its parts: most methods are a scorer, an allocator and a selector under a name.
import { uniform } from "./allocators/uniform.ts";
import type {
  Allocator,
  Capabilities,
  LayerContext,
  Method,
  ModelMeta,
  Mutation,
  Schedule,
  Scorer,
  Selector,
} from "./method.ts";
import type { MethodParts } from "./define-method.ts";

export interface Composition {
  readonly scorer: Scorer;
  readonly selector: Selector;
  /** Default: the same number of rows everywhere. */
  readonly allocator?: Allocator;
  /** Default: no layer. */
  readonly skips?: (layer: number, model: ModelMeta) => boolean;
  /** Default 1: the newest row. */
  readonly minRows?: number;
  /** Default: once, at the end of prefill. */
  readonly schedule?: Partial<Schedule>;
  readonly capabilities?: Partial<Capabilities>;
}

const atPromptEnd: Schedule = { prefill: "end", everySteps: 0, onOverflow: false };

const evicting: Capabilities = {
  raggedHeads: true,
  sharedAcrossHeads: false,
  touchesStorage: false,
  changesPositions: false,
  queryAware: true,
  needsCalibration: false,
  budget: "required",
};

/** A stateless method: score, allocate, select, wherever the schedule runs it. */
export function compose(parts: Composition): MethodParts {
  const allocator = parts.allocator ?? uniform;
  const schedule = { ...atPromptEnd, ...parts.schedule };
  const run = (context: LayerContext): readonly Mutation[] => {
    const scores = parts.scorer.score(context);
    const budget = allocator.split?.(context, scores) ?? context.budget;
    const rows = parts.selector.select(context, scores, budget);
    return [{ kind: "keep", layer: context.layer, rows }];
  };
  const hooks: Pick<Method, "onPrefillLayer" | "onDecodeStep" | "skips"> = {
    ...(parts.skips && { skips: parts.skips }),
    ...(schedule.prefill !== "never" && { onPrefillLayer: run }),
    ...(schedule.everySteps > 0 && { onDecodeStep: run }),
  };
  return {
    needs: parts.scorer.needs,
    scope: "layer",
    schedule,
    capabilities: { ...evicting, ...parts.capabilities },
    minRows: parts.minRows ?? 1,
    allocator,
    validate: () => [],
    onSequence: () => null,
    report: () => ({ notes: [] }),
    ...hooks,
  };
}

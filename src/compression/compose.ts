// A method from its parts: most methods are a scorer, an allocator and a selector under a name.
import { uniform } from "./allocators/uniform.ts";
import type {
  Allocator,
  Capabilities,
  Issue,
  LayerContext,
  LayerMap,
  Method,
  MethodState,
  ModelMeta,
  Mutation,
  Needs,
  Schedule,
  Scorer,
  Selector,
  SignalName,
} from "./method.ts";
import type { MethodParts } from "./define-method.ts";

export interface Composition {
  readonly scorer: Scorer;
  readonly selector: Selector;
  /** Default: the same number of rows everywhere. */
  readonly allocator?: Allocator;
  /** Default: no layer. */
  readonly skips?: (layer: number, model: ModelMeta) => boolean;
  /** Default: the scorer's. */
  readonly minRows?: number;
  /** Default: once, at the end of prefill. */
  readonly schedule?: Partial<Schedule>;
  readonly capabilities?: Partial<Capabilities>;
  /** What scorer and selector remember of a sequence: their `context.state`. Default nothing. */
  readonly remember?: () => MethodState;
  readonly layerMap?: LayerMap;
  readonly validate?: (model: ModelMeta) => readonly Issue[];
}

const atPromptEnd: Schedule = { prefill: "end", everySteps: 0, onOverflow: true };

const evicting: Capabilities = {
  raggedHeads: true,
  sharedAcrossHeads: false,
  touchesStorage: false,
  changesPositions: false,
  queryAware: true,
  needsCalibration: false,
  budget: "required",
};

/** Signals of the newest queries' attention: scores from them depend on the question. */
const ofQuestion: readonly SignalName[] = ["lastRow", "window", "colSum"];

/** What a composition remembers of a sequence. */
export interface ComposedState {
  /** For the report, each once. */
  readonly notes: Set<string>;
  readonly memory: MethodState;
}

/** Score, allocate, select, wherever the schedule runs it. */
export function compose(parts: Composition): MethodParts<ComposedState> {
  const allocator = parts.allocator ?? uniform;
  const schedule = { ...atPromptEnd, ...parts.schedule };
  const needs = needsOf(parts);
  const queryAware = [...needs.prefill, ...needs.decode].some((name) => ofQuestion.includes(name));
  const run = (whole: LayerContext<ComposedState>): readonly Mutation[] => {
    const context: LayerContext = { ...whole, state: whole.state.memory };
    const scores = parts.scorer.score(context);
    for (const note of scores.notes ?? []) whole.state.notes.add(note);
    const budget = allocator.split?.(context, scores) ?? context.budget;
    const rows = parts.selector.select(context, scores, budget);
    return [{ kind: "keep", layer: context.layer, rows }];
  };
  const hooks: Pick<Method<ComposedState>, "onPrefillLayer" | "onDecodeStep" | "skips"> = {
    ...(parts.skips && { skips: parts.skips }),
    ...(schedule.prefill !== "never" && { onPrefillLayer: run }),
    ...(schedule.everySteps > 0 && { onDecodeStep: run }),
  };
  return {
    needs,
    scope: "layer",
    schedule,
    capabilities: { ...evicting, queryAware, ...parts.capabilities },
    minRows: parts.minRows ?? parts.scorer.minRows ?? 1,
    allocator,
    validate: parts.validate ?? (() => []),
    onSequence: () => ({ notes: new Set(), memory: parts.remember?.() ?? null }),
    report: ({ notes }) => ({ notes: [...notes] }),
    ...(parts.layerMap && { layerMap: parts.layerMap }),
    ...hooks,
  };
}

/** The scorer's needs and, where the method runs at all, the selector's. */
function needsOf({ scorer, selector }: Composition): Needs {
  const more = selector.signals ?? [];
  const all = (signals: readonly SignalName[]): readonly SignalName[] => [
    ...new Set([...signals, ...more]),
  ];
  const { prefill, decode } = scorer.needs;
  return {
    ...scorer.needs,
    prefill: all(prefill),
    decode: decode.length > 0 ? all(decode) : decode,
  };
}

// The methods as facts: what lists, tables and pages tell of them. Nothing runs by this.
import type { MethodDefinition } from "./define-method.ts";
import type { SignalName } from "./method.ts";
import { methods } from "./methods/index.ts";

export interface MethodDescription {
  readonly name: string;
  readonly version: number;
  /** Which rows stay; "" where the method does not say. */
  readonly keeps: string;
  /** null: of no paper. */
  readonly paper: string | null;
  readonly signals: {
    readonly prefill: readonly SignalName[];
    readonly decode: readonly SignalName[];
  };
  /** When rows are dropped. */
  readonly phases: readonly ("prompt" | "decode" | "overflow")[];
  /** Whether it chooses layer by layer, or with all layers in view at the full cache's peak. */
  readonly scope: "layer" | "model";
  readonly raggedHeads: boolean;
  readonly sharedAcrossHeads: boolean;
  readonly queryAware: boolean;
  readonly budget: "required" | "optional" | "none";
  readonly parameters: readonly {
    readonly name: string;
    readonly default: unknown;
    /** As it reads after "must be". */
    readonly range: string;
  }[];
}

/** Every method of the registry with its default parameters, in alphabetical order. */
export function describeMethods(): MethodDescription[] {
  const all = Object.values(methods).map(describeMethod);
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What `definition` is with its default parameters. */
export function describeMethod(definition: MethodDefinition): MethodDescription {
  const method = definition.create();
  const { schedule, capabilities, needs } = method;
  const phases: MethodDescription["phases"][number][] = [];
  if (schedule.prefill !== "never") phases.push("prompt");
  if (schedule.everySteps > 0) phases.push("decode");
  if (schedule.onOverflow) phases.push("overflow");
  return {
    name: definition.id,
    version: definition.version,
    keeps: definition.keeps ?? "",
    paper: definition.paper ?? null,
    signals: { prefill: needs.prefill, decode: schedule.everySteps > 0 ? needs.decode : [] },
    phases,
    scope: method.scope,
    raggedHeads: capabilities.raggedHeads,
    sharedAcrossHeads: capabilities.sharedAcrossHeads,
    queryAware: capabilities.queryAware,
    budget: capabilities.budget,
    parameters: Object.entries(definition.parameters).map(([name, parameter]) => ({
      name,
      default: parameter.default,
      range: parameter.range,
    })),
  };
}

// Refuses, before anything is read, a method that cannot work with this model and budget.
import { KvasirError } from "../errors.ts";
import type { Budget } from "../types.ts";
import { checkBudget } from "./budget.ts";
import type { Method, ModelMeta, SignalName } from "./method.ts";

/** The signals that can be had. */
export interface Measured {
  readonly prefill: readonly SignalName[];
  readonly decode: readonly SignalName[];
}

/**
 * @throws {KvasirError} `bad-option` for the budget, `unsupported-option` for the combination.
 */
export function checkMethod(
  method: Method,
  budget: Budget | undefined,
  model: ModelMeta,
  measured: Measured,
): void {
  const { needs } = method;
  checkBudgetUse(method, budget);
  for (const phase of ["prefill", "decode"] as const) {
    const missing = needs[phase].filter((name) => !measured[phase].includes(name));
    if (missing.length > 0) {
      refuse(method, `the signal ${missing.join(", ")} is not measured in ${phase}`);
    }
  }
  checkSchedule(method);
  if (method.layerMap?.storageOf !== undefined) refuse(method, "layers cannot share rows yet");
  const [issue] = method.validate(model);
  if (issue !== undefined) refuse(method, issue.what);
}

function checkSchedule(method: Method): void {
  const { everySteps, prefill } = method.schedule;
  if (prefill === "chunk") refuse(method, "prompts are compressed when they are complete");
  if (!Number.isSafeInteger(everySteps) || everySteps < 0) {
    refuse(method, `everySteps must be a count of steps, got ${everySteps}`);
  }
  if (everySteps > 0 && method.onDecodeStep === undefined) {
    refuse(method, "it runs every few steps and has no onDecodeStep");
  }
}

function checkBudgetUse(method: Method, budget: Budget | undefined): void {
  const { capabilities } = method;
  if (budget === undefined && capabilities.budget === "required") {
    throw new KvasirError(
      "bad-option",
      `Cannot use method "${method.id}": budget must be given as tokens, keep or bytes, got none`,
    );
  }
  if (budget !== undefined) {
    if (capabilities.budget === "none") refuse(method, "it takes no budget");
    checkBudget(budget, method.minRows);
    if ("bytes" in budget && method.scope === "model") {
      refuse(method, "it needs all layers' rows at once, which a budget in bytes does not allow");
    }
    if ("bytes" in budget && capabilities.freezesPrompt === true) {
      refuse(
        method,
        "its budget is the prompt's, so that bytes would not hold: use tokens or keep",
      );
    }
  }
}

function refuse(method: Method, what: string): never {
  throw new KvasirError("unsupported-option", `Cannot use method "${method.id}": ${what}`);
}

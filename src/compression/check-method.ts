// Refuses, before anything is read, a method that cannot work with this model and budget.
import { KvasirError } from "../errors.ts";
import type { Budget } from "../types.ts";
import { checkBudget } from "./budget.ts";
import type { Method, ModelMeta, SignalName } from "./method.ts";

/**
 * @param measured The signals that can be had.
 * @throws {KvasirError} `bad-option` for the budget, `unsupported-option` for the combination.
 */
export function checkMethod(
  method: Method,
  budget: Budget | undefined,
  model: ModelMeta,
  measured: readonly SignalName[],
): void {
  const { schedule, needs } = method;
  checkBudgetUse(method, budget);
  const missing = [...needs.prefill, ...needs.decode].filter((name) => !measured.includes(name));
  if (missing.length > 0) refuse(method, `no engine measures the signal ${missing.join(", ")}`);
  if (schedule.prefill === "chunk" || schedule.everySteps > 0 || schedule.onOverflow) {
    refuse(method, "rows are dropped at the end of a prompt only");
  }
  if (method.layerMap !== undefined) refuse(method, "layers cannot share rows or choices yet");
  const [issue] = method.validate(model);
  if (issue !== undefined) refuse(method, issue.what);
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
  }
}

function refuse(method: Method, what: string): never {
  throw new KvasirError("unsupported-option", `Cannot use method "${method.id}": ${what}`);
}

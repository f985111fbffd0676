import type { Activations, CodecName } from "../../engine/engine.ts";
import type { Area, CheckResult } from "../runner.ts";

/** The first columns of a result. */
export interface Row {
  readonly area: Area;
  readonly check: string;
}

/** How a check was computed, as its name says it. */
export function modeName(activations: Activations, codec: CodecName | undefined): string {
  return codec === undefined ? activations : `${activations}, ${codec} rows`;
}

/** Passes when `measured` is at most `tolerance`; NaN fails. */
export function atMost(
  row: Row,
  metric: string,
  measured: number,
  tolerance: number,
  note = "",
): CheckResult {
  const isPass = measured <= tolerance;
  return {
    area: row.area,
    check: row.check,
    metric,
    measured,
    tolerance,
    status: isPass ? "pass" : "fail",
    ...(isPass || note === "" ? {} : { note }),
  };
}

/** Passes when all `total` are right. */
export function allOf(
  row: Row,
  metric: string,
  nWrong: number,
  total: number,
  note = "",
): CheckResult {
  return {
    area: row.area,
    check: row.check,
    metric,
    measured: `${total - nWrong} of ${total}`,
    tolerance: "all",
    status: nWrong === 0 && total > 0 ? "pass" : "fail",
    ...(note === "" ? {} : { note }),
  };
}

export function info(row: Row, metric: string, measured: number | string): CheckResult {
  return { area: row.area, check: row.check, metric, measured, tolerance: null, status: "info" };
}

export function notDone(
  row: Row,
  metric: string,
  status: "missing" | "not read" | "not run",
  note: string,
): CheckResult {
  return {
    area: row.area,
    check: row.check,
    metric,
    measured: null,
    tolerance: null,
    status,
    note,
  };
}

import type { Metric } from "./case.ts";

export const decodeRateMetric: Metric = { title: "decode", unit: "tokens/s", better: "higher" };
export const prefillRateMetric: Metric = { title: "prefill", unit: "tokens/s", better: "higher" };

export const bytes = (title: string): Metric => ({ title, unit: "bytes", better: "lower" });
export const ms = (title: string): Metric => ({ title, unit: "ms", better: "lower" });

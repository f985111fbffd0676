// The methods and budgets that are compared, with the study's options where they are not the defaults.
import type { MethodSpec } from "../../src/parity/presses.ts";

export interface Contestant {
  readonly label: string;
  /** `seed`: of what is left to chance, another for each prompt. */
  readonly method: (seed: number) => MethodSpec;
  /** As the table says it. */
  readonly options: string;
}

const window = { windowSize: 16, kernelSize: 5 } as const;

/** In the study's order. */
export const CONTESTANTS: readonly Contestant[] = [
  {
    label: "streaming-llm",
    method: () => ({ name: "streaming-llm", nSink: 4 }),
    options: "4 sinks, original positions",
  },
  {
    label: "h2o",
    method: () => ({ name: "h2o", recentShare: 0.5, interval: 0 }),
    options: "column sums, half the budget recent, prompt only",
  },
  {
    label: "snapkv",
    method: () => ({ name: "snapkv", ...window }),
    options: "window 16, average pool of 5, mean of the group",
  },
  {
    label: "pyramidkv",
    method: () => ({ name: "pyramidkv", ...window, beta: 20 }),
    options: "as snapkv, beta 20",
  },
  {
    label: "chunkkv",
    method: () => ({ name: "chunkkv", chunkSize: 10, windowSize: 16, kernelSize: 1 }),
    options: "chunks of 10, window 16, no pool, exact fill",
  },
  {
    label: "shotkv",
    method: () => ({ name: "shotkv", scoredBy: "question", fill: "skip", nSink: 4 }),
    options: "mean attention of the question's rows, each layer, skip",
  },
  {
    label: "random-shot",
    method: (seed) => ({ name: "random-shot", seed, fill: "skip", nSink: 4 }),
    options: "chance, the same in all layers, another order for each prompt",
  },
];

export const KEEPS = [0.4, 0.2, 0.1] as const;

export const FULL = "full";

/** One answer to a prompt. */
export interface Variant {
  readonly label: string;
  readonly method: MethodSpec;
  /** Share of the prompt's rows that stays; 1: all. */
  readonly keep: number;
}

/** Everything that a prompt is answered with; the full cache is the first. */
export function variantsOf(seed: number): Variant[] {
  const full: Variant = { label: FULL, method: { name: "full" }, keep: 1 };
  const others = CONTESTANTS.flatMap(({ label, method }) =>
    KEEPS.map((keep) => ({ label, method: method(seed), keep })),
  );
  return [full, ...others];
}

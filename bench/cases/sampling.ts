import { replay, specOf } from "../replay.ts";
import { createSampler } from "../../src/sampler/sampler.ts";
import type { SamplingOptions } from "../../src/types.ts";
import { type Bench, type BenchCase, check } from "./case.ts";

const PROMPT_TOKENS = 32;
const N_SAMPLES = 200;
const TOP_K = 40;
const TOP_P = 0.95;

const options: Readonly<Record<string, SamplingOptions>> = {
  argmax: { temperature: 0 },
  "top-k": { temperature: 0.8, topK: TOP_K, seed: 1 },
  "top-p": { temperature: 0.8, topP: TOP_P, seed: 1 },
};

export const sampling: BenchCase = {
  name: "sampling",
  measures: "choosing one token out of the whole vocabulary, from real logits",
  metrics: { sampleUs: { title: "one sample", unit: "us", better: "lower" } },
  variants: () =>
    (["argmax", "top-k", "top-p"] as const).map((sampler) => ({
      name: sampler,
      params: { nTokens: PROMPT_TOKENS, nDecode: 0, sampler },
    })),
  /** Tokens that may be drawn, by sorting all logits; sums in f64. */
  async expect(bench, { nTokens, sampler = "argmax" }) {
    const logits = await lastLogits(bench, nTokens);
    const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
    if (sampler === "argmax") return order.slice(0, 1);
    if (sampler === "top-k") return order.slice(0, TOP_K);
    return order.slice(0, nucleusSize(order, logits));
  },
  async measure(bench, { nTokens, sampler = "argmax" }, expected) {
    const logits = await lastLogits(bench, nTokens);
    const made = createSampler(options[sampler] ?? {}, bench.model.parts.kernels);
    const allowed = new Set(Array.isArray(expected) ? (expected as number[]) : []);
    const drawn = new Set<number>();
    const sample = (): void => {
      for (let i = 0; i < N_SAMPLES; i++) drawn.add(made.sample(logits, []));
    };
    sample();
    const started = performance.now();
    sample();
    const sampleUs = (1000 * (performance.now() - started)) / N_SAMPLES;
    for (const token of drawn) {
      check(
        allowed.has(token),
        `Cannot trust ${sampler}: it drew token ${token}, which is cut off`,
      );
    }
    check(sampler === "argmax" || drawn.size > 1, `Cannot trust ${sampler}: it draws one token`);
    return { metrics: { sampleUs }, output: { nDrawn: drawn.size } };
  },
};

async function lastLogits(bench: Bench, nTokens: number): Promise<Float32Array> {
  let last = new Float32Array(0);
  await replay(bench.model, bench.words(nTokens), [], specOf(), (_, logits) => {
    last = logits.slice();
  });
  return last;
}

/** Tokens of `order` whose probabilities first reach TOP_P, and one more: f32 sums may differ. */
function nucleusSize(order: readonly number[], logits: Float32Array): number {
  const max = logits[order[0] ?? 0] ?? 0;
  const weights = order.map((token) => Math.exp((logits[token] ?? -Infinity) - max));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  for (const [i, weight] of weights.entries()) {
    sum += weight;
    if (sum >= TOP_P * total) return i + 2;
  }
  return order.length;
}

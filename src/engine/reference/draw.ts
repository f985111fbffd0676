// One token drawn from a row of logits, in f64 and with a sort of all of them.
import type { DrawRule } from "../../sampler/draw-rule.ts";
import type { EngineBuffer } from "../engine.ts";
import { own } from "./buffers.ts";

/** A column that may be drawn, and how much it weighs. */
interface Part {
  readonly token: number;
  readonly weight: number;
}

/** As `Engine.draw`. */
export function draw(
  out: EngineBuffer,
  logits: EngineBuffer,
  nCols: number,
  rule: DrawRule,
  fraction: number,
): void {
  const { nCandidates } = rule;
  const row = own(logits)
    .f32(nCols)
    .map((logit) => (Number.isNaN(logit) ? -Infinity : logit));
  const order = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b);
  const candidates = order.slice(0, nCandidates);
  const highest = row[order[0]!]!;
  const picked = Number.isFinite(highest)
    ? choose(row, highest, candidates, rule, fraction)
    : { token: order[0]!, total: 0, before: 0, weight: 0 };
  own(out)
    .u32(5 + 2 * nCandidates)
    .set([
      picked.token,
      ...bitsOf([highest, picked.total, picked.before, picked.weight]),
      ...candidates,
      ...bitsOf(candidates.map((candidate) => row[candidate]!)),
    ]);
}

function choose(
  row: Float32Array,
  highest: number,
  candidates: readonly number[],
  rule: DrawRule,
  fraction: number,
) {
  const isCut = candidates.length > 0;
  const weigh = (token: number): Part => {
    return { token, weight: Math.exp((row[token]! - highest) / rule.temperature) };
  };
  const all = Array.from(row, (logit) => Math.exp(logit - highest));
  const left = isCut ? cut(candidates, all, rule) : Array.from(row.keys());
  const parts = left.map(weigh);
  const total = sum(isCut ? all : parts.map(({ weight }) => weight));
  return { ...pick(parts, fraction), total };
}

/** The candidates that `topP` and `minP` leave, in the order in which they are drawn. */
function cut(candidates: readonly number[], all: readonly number[], rule: DrawRule): number[] {
  const weights = candidates.map((candidate) => all[candidate]!);
  const wanted = rule.topP * sum(rule.isTopK ? weights : all);
  const left: number[] = [];
  let mass = 0;
  for (const [i, candidate] of candidates.entries()) {
    if (i > 0 && rule.topP < 1 && mass >= wanted) break;
    if (weights[i]! >= rule.minP) left.push(candidate);
    mass += weights[i]!;
  }
  return rule.isTopK || rule.topP < 1 ? left : left.sort((a, b) => a - b);
}

/** The part at `fraction` of the sum, and the sum before it. */
function pick(parts: readonly Part[], fraction: number): Part & { readonly before: number } {
  const target = fraction * sum(parts.map(({ weight }) => weight));
  let picked = { ...parts[0]!, before: 0 };
  let before = 0;
  for (const part of parts) {
    if (part.weight > 0 && before <= target) picked = { ...part, before };
    before += part.weight;
  }
  return picked;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const bitsOf = (values: readonly number[]): Uint32Array =>
  new Uint32Array(Float32Array.from(values).buffer);

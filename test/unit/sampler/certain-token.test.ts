// A token that an engine drew is confirmed only where it is what the sampler chooses from all logits.
import { describe, expect, test } from "vitest";
import type { Drawn, DrawRule } from "../../../src/sampler/draw-rule.ts";
import { createSampler, type Sampler } from "../../../src/sampler/sampler.ts";
import type { SamplingOptions } from "../../../src/types.ts";
import { naiveParts, naiveTop, naiveTotal } from "../../support/naive-draw.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { sampleKernels } from "../../support/sample-kernels.ts";

/** What an engine may tell whose sums are off by the share `error`. */
function drawnBy(logits: Float32Array, rule: DrawRule, fraction: number, error: number): Drawn {
  const top = naiveTop(logits, Math.max(1, rule.nCandidates));
  const highest = logits[top[0] ?? 0] ?? NaN;
  const candidates = top.slice(0, rule.nCandidates);
  const parts = naiveParts(logits, candidates, rule);
  const part = parts.find(({ end }) => fraction * (1 + error) < end) ?? parts.at(-1);
  if (part === undefined) throw new Error("There is a part");
  const exact = naiveTotal(logits, highest, rule.nCandidates === 0 ? rule.temperature : 1);
  const total = Math.fround(exact * (1 + error));
  return {
    token: part.token,
    highest,
    total,
    before: Math.fround(part.begin * exact),
    own: Math.fround((part.end - part.begin) * exact),
    candidates: {
      tokens: Uint32Array.from(candidates),
      logits: Float32Array.from(candidates, (token) => logits[token] ?? NaN),
    },
  };
}

function ruleOf(sampler: Sampler, nTokens: number): DrawRule {
  const rule = sampler.rule(nTokens);
  if (rule === null) throw new Error("An engine may draw by these options");
  return rule;
}

const OPTIONS: readonly SamplingOptions[] = [
  { temperature: 1 },
  { temperature: 0.3 },
  { temperature: 2 },
  { temperature: 0.8, topK: 40 },
  { temperature: 1.5, topK: 256, topP: 0.9, minP: 0.01 },
  { temperature: 1, topP: 0.5 },
  { temperature: 1, topP: 0.95 },
  { temperature: 0.7, topP: 0.99, minP: 0.02 },
  { temperature: 1, minP: 0.1 },
  { temperature: 2, minP: 0.01 },
];

const N_DRAWS = 60;

describe.each(OPTIONS)("%j", (options) => {
  test.each([150, 700])("%i tokens: what is confirmed is what is chosen", (nTokens) => {
    const rng = new Rng(seedOf(`certain ${JSON.stringify(options)} ${nTokens}`));
    const [host, told] = [0, 1].map(() => createSampler({ ...options, seed: 7 }, sampleKernels));
    if (host === undefined || told === undefined) throw new Error("There are two");
    const rule = ruleOf(told, nTokens);
    let nConfirmed = 0;
    for (let n = 0; n < N_DRAWS; n++) {
      const logits = rng.normals(nTokens, n % 2 === 0 ? 3 : 6);
      if (n % 3 === 0) logits.forEach((logit, i) => (logits[i] = Math.round(logit))); // ties
      const expected = host.sample(logits, []);
      const drawn = drawnBy(logits, rule, told.fraction(0), rng.uniform(-5e-6, 5e-6));
      const confirmed = told.confirm(drawn, rule);
      if (confirmed === undefined) {
        expect(told.sample(logits, [])).toBe(expected);
        continue;
      }
      nConfirmed++;
      expect(confirmed, `draw ${n}`).toBe(expected);
    }
    expect(nConfirmed).toBeGreaterThan(rule.isTopK ? N_DRAWS - 1 : N_DRAWS / 2);
  });
});

test("at the edge of a token's part nothing is confirmed", () => {
  const sampler = createSampler({ temperature: 1 }, sampleKernels);
  const logits = new Float32Array(4);
  const rule = ruleOf(sampler, logits.length);
  const drawn = { ...drawnBy(logits, rule, 0.3, 0), token: 1, total: 1, own: 0.25 };
  const fraction = sampler.fraction(0);
  for (const before of [fraction - 1e-6, fraction - 0.25 + 1e-6, fraction + 0.1]) {
    expect(sampler.confirm({ ...drawn, before }, rule)).toBeUndefined();
  }
  expect(sampler.fraction(0)).toBe(fraction);
  expect(sampler.confirm({ ...drawn, before: fraction - 0.1 }, rule)).toBe(1);
  expect(sampler.fraction(0)).not.toBe(fraction);
});

test("where the cut is in doubt, all that it may be must draw the same token", () => {
  // Four equal tokens and a nucleus of a half: the second or the third may be the last.
  const nTokens = 400;
  const logits = new Float32Array(nTokens).fill(-Infinity);
  logits.fill(0, 0, 4);
  const tokens = new Set<number | undefined>();
  for (let seed = 0; seed < 40; seed++) {
    const options = { temperature: 1, topP: 0.5, seed };
    const sampler = createSampler(options, sampleKernels);
    const rule = ruleOf(sampler, nTokens);
    const fraction = sampler.fraction(0);
    const told = sampler.confirm(drawnBy(logits, rule, fraction, 0), rule);
    const [of2, of3] = [Math.floor(fraction * 2), Math.floor(fraction * 3)];
    expect(told).toBe(of2 === of3 ? of2 : undefined);
    tokens.add(told);
  }
  expect(tokens).toEqual(new Set([0, 1, undefined]));
});

test("a mass that the candidates do not reach, and logits that are no numbers, are the host's", () => {
  const flat = new Float32Array(1000);
  for (const options of [
    { temperature: 1, topP: 0.5 },
    { temperature: 1, minP: 0.5 },
  ]) {
    const sampler = createSampler(options, sampleKernels);
    const rule = ruleOf(sampler, flat.length);
    const drawn = drawnBy(flat, rule, sampler.fraction(0), 0);
    expect(sampler.confirm(drawn, rule)).toBeUndefined();
    for (const highest of [Infinity, -Infinity]) {
      expect(sampler.confirm({ ...drawn, highest }, rule)).toBeUndefined();
    }
  }
});

test.each<[string, SamplingOptions]>([
  ["greedy", {}],
  ["next to no temperature", { temperature: 1e-4 }],
  ["more than 256 candidates", { temperature: 1, topK: 257 }],
  ["repetition", { temperature: 1, repetitionPenalty: 1.1 }],
  ["frequency", { temperature: 1, frequencyPenalty: 0.1 }],
  ["presence", { temperature: 1, presencePenalty: -0.1 }],
])("no rule: %s", (_, options) => {
  expect(createSampler(options, sampleKernels).rule(1000)).toBeNull();
});

test("top-k of all tokens or more is none", () => {
  const rule = ruleOf(createSampler({ temperature: 1, topK: 500 }, sampleKernels), 400);
  expect(rule).toMatchObject({ isTopK: false, nCandidates: 0 });
});

test("random numbers that were looked at in advance are the ones that are used", () => {
  const logits = new Rng(3).normals(50);
  const [plain, ahead] = [0, 1].map(() =>
    createSampler({ temperature: 1, seed: 9 }, sampleKernels),
  );
  const chosen: (number | undefined)[] = [];
  const expected: (number | undefined)[] = [];
  for (let n = 0; n < 20; n++) {
    ahead?.fraction(n % 5);
    expected.push(plain?.sample(logits, []));
    chosen.push(ahead?.sample(logits, []));
  }
  expect(chosen).toEqual(expected);
});

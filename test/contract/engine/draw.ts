// Engine.draw against plain loops: candidates exactly, sums and the token as exactly as f32 sums are.
import { expect, it } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import type { DrawRule } from "../../../src/sampler/draw-rule.ts";
import { naiveParts, naiveTop, naiveTotal } from "../../support/naive-draw.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { onEngine } from "../rig.ts";

/** What the sampler allows an engine's sums (certain-token.ts). */
const SUM_ERROR = 2 ** -17;
const HEADER = 5;

const PLAIN = { isTopK: false, isWhole: false, topP: 1, minP: 0, temperature: 1 };
const all = (temperature: number): DrawRule => ({ ...PLAIN, nCandidates: 0, temperature });
const topK = (nCandidates: number, more: Partial<DrawRule> = {}): DrawRule => ({
  ...PLAIN,
  nCandidates,
  isTopK: true,
  ...more,
});
const looked = (nCandidates: number, more: Partial<DrawRule>): DrawRule => ({
  ...PLAIN,
  nCandidates,
  ...more,
});

/** Rules for at least 256 columns. */
const RULES: readonly DrawRule[] = [
  all(1),
  all(0.1),
  all(2),
  topK(1),
  topK(2, { temperature: 0.1 }),
  topK(40, { temperature: 0.7 }),
  topK(255, { topP: 0.9, temperature: 1.3 }),
  topK(256, { minP: 0.05, topP: 0.5, temperature: 2 }),
  topK(256, { temperature: 2 }),
  looked(256, { topP: 0.3 }),
  looked(256, { topP: 0.95, temperature: 0.8 }),
  looked(256, { topP: 0.7, minP: 0.1 }),
  looked(256, { minP: 0.02, temperature: 1.5 }),
  looked(256, { minP: 1 }),
  looked(256, { topP: 0 }),
];

function rulesFor(nCols: number): DrawRule[] {
  if (nCols >= 256) return [...RULES];
  const small = RULES.map((rule) => ({ ...rule, nCandidates: Math.min(nCols, rule.nCandidates) }));
  return small.map((rule) => ({ ...rule, isWhole: rule.nCandidates === nCols }));
}

const N_COLS = [1, 7, 300, 8193, 49_152, 262_144];
const FRACTIONS = [0, 1 - 2 ** -24, 0.5, 0.123, 0.77];

const ROWS: Record<string, (rng: Rng, n: number) => Float32Array> = {
  normal: (rng, n) => rng.normals(n, 3),
  peaked: (rng, n) => rng.normals(n, 12),
  "few values": (rng, n) => rng.normals(n, 2).map(Math.round),
  equal: (_, n) => new Float32Array(n).fill(-2.5),
  "mostly -Infinity": (rng, n) => rng.normals(n, 2).map((x, i) => (i > 0 && x < 3 ? -Infinity : x)),
  "zeros of both signs": (rng, n) => rng.normals(n).map((x) => (x > 0 ? -0 : x > -1 ? 0 : -1)),
  "NaN among them": (rng, n) => rng.normals(n, 3).map((x, i) => (i > 0 && x < 0 ? NaN : x)),
  huge: (rng, n) => rng.normals(n).map((x) => Math.sign(x) * 2 ** Math.min(127, 40 * Math.abs(x))),
  "the best at the end": (rng, n) => rng.normals(n).map((x, i) => x / 8 + (9 * i) / n),
};

async function drawOn(
  engine: Engine,
  logits: Float32Array,
  draws: readonly (readonly [rule: DrawRule, fraction: number])[],
) {
  return onEngine(engine, async (rig) => {
    // Slices, so that neither begins where its buffer does.
    const padded = new Float32Array(logits.length + 12).fill(1e9);
    padded.set(logits, 12);
    const row = rig.f32(padded);
    const from = engine.slice(row, 48, 4 * logits.length);
    const words: Uint32Array[] = [];
    for (const [rule, fraction] of draws) {
      const out = rig.u32(new Array(4 + HEADER + 2 * rule.nCandidates).fill(0xabcdef));
      const to = engine.slice(out, 16, 4 * (HEADER + 2 * rule.nCandidates));
      engine.draw?.(to, from, logits.length, rule, fraction);
      words.push((await rig.readU32(out)).subarray(4));
    }
    return words;
  });
}

/** NaN counts as -Infinity, and -0 as 0. */
const plain = (logit: number): number => (Number.isNaN(logit) ? -Infinity : logit + 0);

/** @param top At least as many as the rule has candidates. */
function checkDrawn(
  words: Uint32Array,
  logits: Float32Array,
  top: readonly number[],
  rule: DrawRule,
  fraction: number,
): void {
  const floats = new Float32Array(words.slice().buffer);
  const { nCandidates } = rule;
  const candidates = top.slice(0, nCandidates);
  const message = `${JSON.stringify(rule)}, ${fraction}`;
  const told = Array.from(words.subarray(HEADER, HEADER + nCandidates));
  expect(told, message).toEqual(candidates);
  const toldLogits = Array.from(floats.subarray(HEADER + nCandidates), plain);
  const value = (token: number): number => plain(logits[token] ?? NaN);
  expect(toldLogits, message).toEqual(candidates.map(value));
  const [, highest = NaN, total = NaN, before = NaN, own = NaN] = floats;
  expect(plain(highest), message).toBe(value(top[0] ?? 0));
  const temperature = nCandidates === 0 ? rule.temperature : 1;
  const expected = naiveTotal(logits, highest, temperature);
  expect(Math.abs(total / expected - 1), `total, ${message}`).toBeLessThan(SUM_ERROR);

  const [token = -1] = words;
  const slacks = [0, -SUM_ERROR, SUM_ERROR];
  const isRight = slacks.some((slack) => {
    const slackRule = {
      ...rule,
      topP: rule.topP < 1 ? rule.topP + slack : 1,
      minP: rule.minP * (1 + slack),
    };
    const parts = naiveParts(logits, candidates, slackRule);
    const part = parts.find((one) => one.token === token);
    if (part === undefined) return false;
    if (nCandidates === 0) {
      expect(Math.abs(before / total - part.begin), message).toBeLessThan(SUM_ERROR);
      expect(Math.abs(own / total - (part.end - part.begin)), message).toBeLessThan(SUM_ERROR);
    }
    return fraction >= part.begin - SUM_ERROR && fraction < part.end + SUM_ERROR;
  });
  expect(isRight, `token ${token}, logit ${logits[token]}, ${message}`).toBe(true);
}

/** Registers the cases of one engine that draws. */
export function drawContract(engine: () => Engine): void {
  for (const nCols of N_COLS) {
    // The longest rows take long to make and to check.
    const kinds = Object.entries(ROWS).slice(0, nCols < 262_144 ? undefined : 2);
    for (const [kind, make] of kinds) {
      it(`draw from ${nCols} columns: ${kind}`, async () => {
        const logits = make(new Rng(seedOf(`draw ${kind} ${nCols}`)), nCols);
        await checkDraws(engine(), logits);
      });
    }
  }

  it("draw: where the highest logit is infinite it says so, and names a column", async () => {
    for (const filling of [Infinity, -Infinity, NaN]) {
      const logits = new Float32Array(300).fill(filling);
      if (filling === Infinity) logits.fill(2, 0, 290);
      const rules = [all(0.5), topK(40), looked(256, { topP: 0.5 }), looked(256, { minP: 0.5 })];
      const draws = rules.map((rule) => [rule, 0.4] as const);
      for (const told of await drawOn(engine(), logits, draws)) {
        expect(told[0]).toBeLessThan(300);
        const highest = new Float32Array(told.slice().buffer)[1];
        expect(highest).toBe(filling === Infinity ? Infinity : -Infinity);
      }
    }
  });
}

async function checkDraws(engine: Engine, logits: Float32Array): Promise<void> {
  const nCols = logits.length;
  // All of them where that is quick, two where it is not, one of the longest rows.
  const nSkipped = nCols < 10 ? 1 : nCols < 10_000 ? 2 : FRACTIONS.length;
  const draws = rulesFor(nCols).flatMap((rule, i) =>
    FRACTIONS.filter((_, f) => (f + i) % nSkipped === 0).map(
      (fraction) => [rule, fraction] as const,
    ),
  );
  const words = await drawOn(engine, logits, draws);
  const top = naiveTop(logits, Math.min(256, nCols));
  for (const [i, [rule, fraction]] of draws.entries()) {
    checkDrawn(words[i] ?? new Uint32Array(), logits, top, rule, fraction);
  }
}

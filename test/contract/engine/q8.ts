// Contract, part 7: the ops on rows of codec q8. What attention reads are the same codes on both sides;
// an engine may multiply them by rounded queries and weights, of at least 15 bits.
import { describe, expect, it } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import { maxAbs } from "../../support/matchers.ts";
import { decodeRows, encodeRows } from "../../support/random-blocks.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { type Engines, expectBits, expectNmse, expectSame, onEngine } from "../rig.ts";
import {
  ATTENTION_CASES,
  attentionCase,
  type CaseOptions,
  runAttend,
  runSums,
  runWindow,
} from "./attention.ts";
import { appendRun, attendRun, expectSplitsAgree, N_TOKENS } from "./chunks.ts";
import { outputsContract, rotateContract } from "./measure.ts";
import { appendCase, gatherContract, runAppend } from "./rows.ts";

/** Bound on the NMSE of attention and of its sums; rounding rows to int8 costs about 3e-5. */
const ATTEND = 1e-8;
/** Scores in the thousands turn the last bits of a query into parts of a weight. */
const LARGE_SCORES = 1e-4;

export function q8RowsContract(engines: () => Engines): void {
  const engine = (): Engine => engines().engine;
  describe("ropeAppend", () => appendContract(engines));
  describe("attend, measureWindow, attendAndSum", () => attentionContract(engines));
  describe("gatherRows", () => gatherContract(engines, ["q8", "f16", "f32"]));
  describe("measureOutputs", () => outputsContract(engine, ["q8"]));
  describe("rotateRows", () => rotateContract(engine, ["q8"]));
  describe("chunks", () => chunkContract(engine));
}

function appendContract(engines: () => Engines): void {
  for (const ropeStyle of ["interleaved", "half"] as const) {
    it(`${ropeStyle}: values as encoded by hand (exact), keys as the reference's (NMSE <= 1e-6)`, async () => {
      const rng = new Rng(seedOf(`q8 append ${ropeStyle}`));
      for (const nTokens of [1, 7, 33]) {
        const test = appendCase(rng, {
          ...{ head: [64, 2, 3], ropeStyle, codec: "q8", nTokens, isNormed: true },
        });
        const actual = await onEngine(engines().engine, (rig) => runAppend(rig, test));
        const expected = await onEngine(engines().exact, (rig) => runAppend(rig, test));
        // A last bit of f32 may decide a code, one of 127 steps.
        expectNmse(actual.keys, expected.keys, 1e-6, rng.seed);
        expect(actual.positions).toEqual(expected.positions);
        const { nHeads, nKvHeads, headDim } = test.shape;
        const stride = (nHeads + 2 * nKvHeads) * headDim;
        const last = test.qkv.slice(nTokens * stride - headDim);
        const stored = decodeRows("q8", encodeRows("q8", last, headDim), headDim);
        expectBits(actual.values.slice(-headDim), stored, "the last value");
      }
    });
  }

  it("rows of zeros, of the largest and of almost nothing stay finite", async () => {
    const test = appendCase(new Rng(1), {
      ...{ head: [32, 1, 1], ropeStyle: "half", codec: "q8", nTokens: 3, isNormed: false },
    });
    const { shape, qkv } = test;
    const stride = (shape.nHeads + 2 * shape.nKvHeads) * shape.headDim;
    [0, Infinity, 1e-38].forEach((value, token) =>
      qkv.fill(value, (token + 1) * stride - shape.headDim, (token + 1) * stride),
    );
    const { values } = await onEngine(engines().engine, (rig) => runAppend(rig, test));
    const [zero, largest, tiny] = [3, 2, 1].map((n) => values[values.length - 32 * n]);
    expect(zero).toBe(0);
    expect(largest).toBeGreaterThan(3.4e38);
    expect(tiny).toBe(0);
  });
}

function attentionContract(engines: () => Engines): void {
  const cases: readonly (readonly [string, CaseOptions])[] = [
    ...ATTENTION_CASES.filter(([name]) => !name.endsWith("f32")),
    ["70 queries", { nQueries: 70, lengths: [900, 70, 133] }],
    ["headDim 512", { nQueries: 5, lengths: [130, 9], headDim: 512, nGroups: 4 }],
  ];
  for (const [name, options] of cases) {
    const bound = name.includes("thousands") ? LARGE_SCORES : ATTEND;
    it(`${name} (NMSE <= ${bound}); one token, many and in parts the same bits`, async () => {
      const rng = new Rng(seedOf(`q8 ${name}`));
      const test = attentionCase(rng, { ...options, codec: "q8" });
      const { engine, exact } = engines();
      await expectSame(engine, exact, bound, rng.seed, (rig) => runAttend(rig, test));
      await expectSame(engine, exact, bound, rng.seed, (rig) => runWindow(rig, test));
      const n = options.nQueries;
      const [out, sums] = await onEngine(engine, (rig) => runSums(rig, test, [n], false));
      expectBits(out, await onEngine(engine, (rig) => runAttend(rig, test)), "attention");
      const [, expected] = await onEngine(exact, (rig) => runSums(rig, test, [n], true));
      expectNmse(sums, expected, bound, rng.seed);
      const ends = Array.from({ length: n }, (_, i) => i + 1);
      const parts = await onEngine(engine, (rig) => runSums(rig, test, ends, false));
      expectBits(parts[0], out, "attention, token by token");
      expectBits(parts[1], sums, "sums, token by token");
    });
  }

  it("one row: its value, as stored (1e-4 of the largest)", async () => {
    const rng = new Rng(seedOf("q8 one row"));
    const test = attentionCase(rng, { codec: "q8", nQueries: 1, lengths: [1], nGroups: 1 });
    const out = await onEngine(engines().engine, (rig) => runAttend(rig, test));
    const value = test.rows.values.subarray(0, 64);
    expect(maxAbs(out, value)).toBeLessThanOrEqual(1e-4 * Math.max(...value.map(Math.abs)));
  });
}

function chunkContract(engine: () => Engine): void {
  it("attend, window or none: chunks do not matter (exact)", async () => {
    for (const window of [0, 6]) {
      const rng = new Rng(seedOf(`q8 chunks ${window}`));
      const lengths = [9, 70, 41];
      const options = { codec: "q8", window, headDim: 80, lengths, nQueries: N_TOKENS } as const;
      await expectSplitsAgree(engine(), rng.seed, attendRun(rng, options));
    }
  });

  it("ropeAppend: chunks do not matter (exact)", async () => {
    const rng = new Rng(seedOf("q8 chunks append"));
    await expectSplitsAgree(engine(), rng.seed, appendRun(rng, "q8"));
  });
}

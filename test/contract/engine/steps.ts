// Contract, part 6: a decode step's append and attention one after the other, which an engine may do
// in one go: what they give, what they leave in the rows and in `qkv`.
import { expect, it } from "vitest";
import type { CodecName } from "../../../src/engine/engine.ts";
import { randomRows } from "../../support/random-rows.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import {
  type Engines,
  expectBits,
  expectNmse,
  onEngine,
  type Rig,
  type Tolerances,
} from "../rig.ts";

interface StepCase {
  readonly headDim: number;
  readonly nGroups: number;
  readonly ropeStyle: "interleaved" | "half";
  readonly codec: CodecName;
  /** Rows of each kv head before the step. */
  readonly lengths: readonly number[];
  readonly window?: number;
  /** Something is read between the two. */
  readonly isApart?: boolean;
}

const CASES: Readonly<Record<string, StepCase>> = {
  "three heads share, f16": {
    ...{ headDim: 64, nGroups: 3, ropeStyle: "interleaved", codec: "f16", lengths: [5, 0, 140] },
  },
  "three heads share, f16, read in between": {
    ...{ headDim: 64, nGroups: 3, ropeStyle: "interleaved", codec: "f16", lengths: [5, 0, 140] },
    isApart: true,
  },
  "four heads share, f32": {
    ...{ headDim: 128, nGroups: 4, ropeStyle: "half", codec: "f32", lengths: [300, 7] },
  },
  "eight heads share, f16": {
    ...{ headDim: 32, nGroups: 8, ropeStyle: "half", codec: "f16", lengths: [33] },
  },
  "one head each, window": {
    ...{ headDim: 80, nGroups: 1, ropeStyle: "half", codec: "f16", lengths: [40, 9], window: 16 },
  },
  "wide heads": {
    ...{ headDim: 256, nGroups: 2, ropeStyle: "half", codec: "f16", lengths: [129] },
  },
  "many rows": {
    ...{ headDim: 32, nGroups: 2, ropeStyle: "half", codec: "f16", lengths: [1500, 20] },
  },
};

const POSITION = 4000;

export function stepContract(engines: () => Engines, tolerances: Tolerances): void {
  for (const [name, step] of Object.entries(CASES)) {
    const { codec } = step;
    const bound = codec === "f32" ? tolerances.rope : tolerances.ropeHalf;
    it(`${name} (attention NMSE <= ${tolerances.attend}, keys <= ${bound})`, async () => {
      const rng = new Rng(seedOf(`step ${name}`));
      const run = stepRun(rng, step);
      const { engine, exact } = engines();
      const [actual, expected] = [await onEngine(engine, run), await onEngine(exact, run)];
      // A last bit of a rotated key may decide a last bit of its f16.
      const attended = Math.max(bound, tolerances.attend);
      expectNmse(actual.out, expected.out, attended, rng.seed);
      expectNmse(actual.turned, expected.turned, tolerances.rope, rng.seed);
      expectNmse(actual.keys, expected.keys, bound, rng.seed);
      expectBits(actual.values, expected.values, `values, seed ${rng.seed}`);
      expect(actual.positions).toEqual(expected.positions);
      expect(actual.length).toEqual(step.lengths.map((n) => n + 1));
    });
  }
}

function stepRun(rng: Rng, step: StepCase) {
  const { headDim, nGroups, ropeStyle, codec, lengths, window = 0, isApart = false } = step;
  const nKvHeads = lengths.length;
  const shape = { nHeads: nKvHeads * nGroups, nKvHeads, headDim };
  const spare = { nNew: 0, nextPosition: POSITION, nSpare: 1 };
  const host = randomRows(rng, { codec, shape, lengths, ...spare });
  const qkv = rng.normals((shape.nHeads + 2 * nKvHeads) * headDim);
  const angles = Float32Array.from({ length: headDim }, (_, i) =>
    i % 2 === 0 ? Math.cos(0.37 * (i >> 1)) : Math.sin(0.37 * (i >> 1)),
  );
  return async (rig: Rig) => {
    const [x, rows, table] = [rig.f32(qkv), rig.rows(host), rig.f32(angles)];
    const out = rig.space(shape.nHeads * headDim);
    const attend = { ...shape, scale: 1 / Math.sqrt(headDim), window };
    rig.engine.ropeAppend(x, rows, table, { ...shape, ropeStyle }, POSITION, 1);
    if (isApart) await rig.readF32(x);
    rig.engine.attend(out, x, rows, attend, POSITION, 1);
    const all = await rig.readF32(x);
    return {
      out: await rig.readF32(out),
      turned: all.slice(0, (shape.nHeads + nKvHeads) * headDim),
      ...(await rig.readRows(rows)),
      length: Array.from(rows.length),
    };
  };
}

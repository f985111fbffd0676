// The kernels that variants replace, plain and with each variant alone. The other files of the
// contract run with all variants that the adapter has; packed dot has webgpu-q8.contract.test.ts.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { VARIANTS } from "../../src/engine/webgpu/variants/table.ts";
import { Rng, seedOf } from "../support/rng.ts";
import { openWebGpu } from "../support/webgpu.ts";
import { ATTENTION_CASES, attentionCase, runAttend } from "./engine/attention.ts";
import { argmaxContract, checkNormProject, matrix } from "./engine/projections.ts";
import { stepContract } from "./engine/steps.ts";
import { type Engines, expectSame, F32_TOLERANCES } from "./rig.ts";

const oracle = createReferenceEngine();
const suite = (engines: () => Engines) => ({ engines, tolerances: F32_TOLERANCES });

const { features, engine: first } = await openWebGpu();
first.dispose();
const missing = VARIANTS.filter(({ feature }) => feature !== null && !features.has(feature));

describe.runIf(missing.length > 0)("webgpu, variants that the adapter does not have", () => {
  it.each(missing)("$name: off, with the reason", async (variant) => {
    const { engine, variants } = await openWebGpu({ variants: [variant] });
    engine.dispose();
    const reason = `the adapter has no ${variant.feature}`;
    expect(variants).toEqual([{ name: variant.name, isUsed: false, isRefused: false, reason }]);
  });
});

for (const [name, variants] of [
  ["plain", []] as const,
  ...VARIANTS.filter((one) => one.name !== "packed-dot" && !missing.includes(one)).map(
    (variant) => [variant.name, [variant]] as const,
  ),
]) {
  describe(`webgpu, ${name}`, () => {
    let engines: Engines;
    beforeAll(async () => {
      const { engine, variants: reports } = await openWebGpu({ variants });
      engines = { engine, oracle, exact: oracle };
      expect(reports.map(({ isUsed }) => isUsed)).toEqual(variants.map(() => true));
    });
    afterAll(() => engines.engine.dispose());

    describe("steps", () => stepContract(() => engines, F32_TOLERANCES));
    describe("argmax", () => argmaxContract(suite(() => engines)));

    for (const [test, options] of ATTENTION_CASES.filter(([, { nQueries }]) => nQueries === 1)) {
      it(`attend, ${test} (NMSE <= ${F32_TOLERANCES.attend})`, async () => {
        const rng = new Rng(seedOf(`attend ${test}`));
        const one = attentionCase(rng, options);
        const { attend } = F32_TOLERANCES;
        await expectSame(engines.engine, oracle, attend, rng.seed, (rig) => runAttend(rig, one));
      });
    }

    // Lanes from 8 to 64 of mat_vec, one token and several; rms_norm where there are many.
    for (const [nCols, nTokens] of [
      [32, 1],
      [256, 1],
      [576, 1],
      [1536, 1],
      [256, 5],
      [1536, 8],
      [256, 9],
    ] as const) {
      it(`normProject, ${nCols} columns, ${nTokens} tokens (NMSE <= ${F32_TOLERANCES.project})`, async () => {
        const rng = new Rng(seedOf(`variants ${nCols} ${nTokens}`));
        const table = matrix(rng, "Q4_0", 21, nCols);
        await checkNormProject(
          suite(() => engines),
          rng,
          [table],
          nTokens,
          [0],
        );
      });
    }
  });
}

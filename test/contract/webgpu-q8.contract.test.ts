// Products of int8 activations on the GPU against the reference that rounds alike, with integers one by
// one and by packed dot.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TensorTypeName } from "../../src/gguf/tensor-type.ts";
import { createReferenceEngine } from "../../src/engine/reference/engine.ts";
import { VARIANTS } from "../../src/engine/webgpu/variants/table.ts";
import { Rng, seedOf } from "../support/rng.ts";
import { openWebGpu } from "../support/webgpu.ts";
import { checkGateUp, checkNormProject, matrix } from "./engine/projections.ts";
import { type Engines, Q8_TOLERANCES, type Tolerances } from "./rig.ts";

const f32Types: TensorTypeName[] = ["F32", "F16", "BF16", "IQ4_NL", "IQ4_XS"];
const tolerances: Tolerances = {
  ...Q8_TOLERANCES,
  f32Types,
  narrowed: { types: [], nmse: Q8_TOLERANCES.project },
};
const TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"] as const;
const packedDot = VARIANTS.filter(({ name }) => name === "packed-dot");

for (const [name, variants] of [["one by one", []] as const, ["packed dot", packedDot] as const]) {
  describe(`webgpu, activations q8, ${name}`, () => {
    let engines: Engines;
    const suite = { engines: () => engines, tolerances };
    beforeAll(async () => {
      const opened = await openWebGpu({ variants, activations: "q8" });
      expect(opened.variants.every(({ isUsed }) => isUsed)).toBe(true);
      engines = {
        engine: opened.engine,
        oracle: createReferenceEngine({ activations: "q8", f32Types }),
        exact: createReferenceEngine(),
      };
    });
    afterAll(() => engines.engine.dispose());

    it("activations: as asked", () => expect(engines.engine.activations).toBe("q8"));

    for (const type of [...TYPES, "F16", "IQ4_NL"] as const) {
      it(`normProject, ${type} (NMSE <= ${tolerances.project})`, async () => {
        const rng = new Rng(seedOf(`q8 ${type}`));
        for (const nTokens of [1, 7, 70]) {
          await checkNormProject(suite, rng, [matrix(rng, type, 77, 512)], nTokens, [0]);
        }
      });
    }

    it("normProject, matrices side by side, one of them in f32", async () => {
      const rng = new Rng(seedOf("q8 beside"));
      const matrices = (["Q4_0", "Q4_0", "F16", "Q8_0"] as const).map((type, i) =>
        matrix(rng, type, 9 + i, 96),
      );
      for (const nTokens of [1, 9]) await checkNormProject(suite, rng, matrices, nTokens, [1]);
    });

    it("normGateUp, gates and tiles", async () => {
      const rng = new Rng(seedOf("q8 gate"));
      for (const nTokens of [1, 7, 70]) {
        await checkGateUp(suite, rng, "silu", ["Q4_0", "Q4_0"], nTokens, 1);
        await checkGateUp(suite, rng, "gelu-tanh", ["Q4_K", "Q6_K"], nTokens, 1);
      }
    });
  });
}

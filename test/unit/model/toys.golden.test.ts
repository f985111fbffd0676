// Whole forward passes of the four toys against transformers' model classes (test/golden/README.md).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { argmax, compareGreedy } from "../../../src/parity/metrics.ts";
import { nmse } from "../../support/matchers.ts";
import { Sequence } from "../../support/sequence.ts";
import { MODES, nameOf, openToy, type Toy, toyGolden, TOYS } from "../../support/toys.ts";

/** Rounding decides where two logits are this close. */
const F32_MIN_MARGIN = 0.01;
/** NMSE of all logits in f32; measured 1.7e-12 to 6.4e-12. */
const F32_NMSE = 1e-8;

/**
 * NMSE in q8 with an f16 cache, and the margin from which on its rounding turns no choice over. One
 * product costs about 3e-5 (the contract's bound), and random layers amplify it. Measured: NMSE
 * 3.1e-3, 8.5e-4, 1.1e-3, 1.6e-3, the largest margins turned over 0.18, 0.24, 0.55, 0.023.
 */
const Q8: Readonly<Record<Toy, { readonly nmse: number; readonly minMargin: number }>> = {
  "toy-llama": { nmse: 4e-3, minMargin: 0.25 },
  "toy-qwen2": { nmse: 1.2e-3, minMargin: 0.3 },
  "toy-qwen3": { nmse: 1.5e-3, minMargin: 0.7 },
  "toy-gemma3": { nmse: 2e-3, minMargin: 0.05 },
};

for (const mode of MODES) {
  describe.each(TOYS)(`%s on ${nameOf(mode)}`, (toy) => {
    const golden = toyGolden(toy);
    const bounds =
      mode.activations === "q8" ? Q8[toy] : { nmse: F32_NMSE, minMargin: F32_MIN_MARGIN };
    let model: LocalModel;
    let sequence: Sequence;
    let logits: Float32Array;
    beforeAll(async () => {
      model = await openToy(toy, mode);
      sequence = new Sequence(model);
      logits = await sequence.read(golden.ids);
    });
    afterAll(() => model.dispose());

    test(`logits at all 60 positions: NMSE <= ${bounds.nmse}`, () => {
      expect(golden.ids.length).toBe(60);
      const error = nmse(logits, golden.logits);
      expect(error).toBeLessThanOrEqual(bounds.nmse);
    });

    test(`argmax equal wherever the margin is at least ${bounds.minMargin}`, () => {
      const { vocabSize } = model.config;
      const worst = golden.argmax.map((token, i) => {
        const row = golden.logits.subarray(i * vocabSize, (i + 1) * vocabSize);
        const second = row.reduce((max, x, j) => (j === token ? max : Math.max(max, x)), -Infinity);
        const isEqual = argmax(logits.subarray(i * vocabSize, (i + 1) * vocabSize)) === token;
        return isEqual ? 0 : (row[token] as number) - second;
      });
      expect(Math.max(...worst)).toBeLessThan(bounds.minMargin);
    });

    test("greedy continuation equal up to the first close call", async () => {
      const { tokens, top1_logit, top2_logit } = golden.greedy;
      const margins = top1_logit.map((top, i) => top - (top2_logit[i] as number));
      const own = await sequence.greedy(tokens.length);
      const { nCompared, differsAt } = compareGreedy(own, { tokens, margins }, bounds.minMargin);
      expect(differsAt).toBeUndefined();
      if (mode.activations === "f32") expect(nCompared).toBe(tokens.length);
    });
  });
}

// The oracle of eviction for every method that the registry finds: the next logits over what is kept
// are those of a dense transformer that sees every key with the evicted ones masked out.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMethod, methodNames } from "../../../src/compression/registry.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { maxAbs } from "../../support/matchers.ts";
import { budgetFor, evictingLayers, MethodRun, openSimd, small } from "../../support/method-run.ts";
import { NaiveTransformer } from "../../support/naive-transformer.ts";
import { type Toy, toyBytes, toyGolden, TOYS } from "../../support/toys.ts";

// Longer than the sliding windows of the toys.
const N_PROMPT = 24;
const N_STEPS = 3;
const BUDGET = { tokens: 12 };

/** Methods whose rows keep the rotation that they were made with. */
const names = methodNames().filter(
  (name) => !createMethod(small(name)).capabilities.changesPositions,
);

describe.each(TOYS)("%s", (toy: Toy) => {
  const { ids } = toyGolden(toy);
  const prompt = ids.slice(0, N_PROMPT);
  let model: LocalModel;
  beforeAll(async () => {
    model = await openSimd(toy);
  });
  afterAll(() => model.dispose());

  test.each(names)("%s: max abs <= 1e-4", async (name) => {
    const method = small(name);
    const run = new MethodRun(model, { method, ...budgetFor(method, BUDGET) });
    const dense = await NaiveTransformer.open(toyBytes(toy));
    dense.read(prompt);
    await run.prefill(prompt);
    const { keptRows, fullRows } = run.cache.usage();
    if (evictingLayers(createMethod(method), model).length > 0) {
      expect(keptRows).toBeLessThan(fullRows);
    }
    for (const token of ids.slice(N_PROMPT, N_PROMPT + N_STEPS)) {
      // What the token sees: the rows that are left, those dropped by earlier steps not among them.
      const { seen } = run.cache;
      const kept = (await run.kept()).map((layer) => layer.map((head) => new Set(head)));
      const [wanted] = dense.read(
        [token],
        (l, head, at) => at === seen || kept[l]?.[head]?.has(at) === true,
      );
      await run.step(token);
      const logits = await run.decoder.logits();
      expect(maxAbs(logits, wanted ?? [])).toBeLessThanOrEqual(1e-4);
    }
    run.dispose();
  });
});

// How the parity checks open a model: rows as asked for.
import { expect, test } from "vitest";
import type { CodecName } from "../../../src/engine/engine.ts";
import { createParityHost } from "../../../src/parity/open-model.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { nmse } from "../../support/matchers.ts";
import { toyBytes, toyGolden } from "../../support/toys.ts";

const TOY = "toy-llama";

/** Of all logits, against transformers. */
async function errorWith(codec?: CodecName): Promise<number> {
  const options = { engine: "wasm", activations: "f32", threads: 1 } as const;
  const host = createParityHost(nodeRuntime);
  const model = await host.open(toyBytes(TOY), { ...options, ...(codec && { codec }) });
  const { ids, logits } = toyGolden(TOY);
  const measured = new Float32Array(logits.length);
  const vocabSize = logits.length / ids.length;
  await model.logits(ids, "all", (position, row) => measured.set(row, position * vocabSize));
  model.dispose();
  return nmse(measured, logits);
}

test("rows of f32 by default in mode f32; rows of f16 lose a little (NMSE <= 1e-4)", async () => {
  expect(await errorWith()).toBeLessThanOrEqual(1e-10);
  expect(await errorWith("f32")).toBeLessThanOrEqual(1e-10);
  const rounded = await errorWith("f16");
  expect(rounded).toBeGreaterThan(1e-9);
  expect(rounded).toBeLessThanOrEqual(1e-4);
});

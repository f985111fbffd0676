// ChunkKV's index reuse: layers that take over another's choice keep the rows of its positions, and are
// not measured. What the leader chooses is what it chooses alone: prefill attends to all rows, whatever
// layers below have dropped since.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { Sequence } from "../../support/sequence.ts";
import { openLocal, toyGolden } from "../../support/toys.ts";
import { syntheticLlama } from "../../support/toy-file.ts";

const N_LAYERS = 7;
const SHAPE = {
  ...{ nLayers: N_LAYERS, hiddenSize: 64, ffnSize: 128 },
  ...{ nHeads: 4, nKvHeads: 2, headDim: 16, contextLength: 256 },
};
const ids = toyGolden("toy-llama").ids.map((token) => token % 256);
const budget = { tokens: 24 };
const method = (reuse: number) => ({ name: "chunkkv", windowSize: 4, chunkSize: 5, reuse });

let model: LocalModel;
beforeAll(async () => {
  model = await openLocal(syntheticLlama(SHAPE), { engine: "wasm", activations: "f32" });
});
afterAll(() => model.dispose());
afterEach(() => {
  vi.restoreAllMocks();
});

async function keptBy(reuse: number, nTokens: number): Promise<number[][][]> {
  const sequence = new Sequence(model, { method: method(reuse), budget, turnPolicy: "each" });
  await sequence.prefill(ids.slice(0, 40));
  if (nTokens > 40) await sequence.prefill(ids.slice(40, nTokens));
  const { cache } = sequence;
  const layers = Array.from({ length: N_LAYERS }, (_, l) => cache.knownPositions(l));
  for (const [l, known] of layers.entries()) {
    // The engine holds the same positions as the host knows.
    expect(await cache.keptPositions(l)).toEqual(known);
  }
  const kept = layers.map((heads) => heads.map((positions) => [...positions]));
  sequence.dispose();
  return kept;
}

describe.each([2, 3, 7, 9])("%i layers to a choice", (reuse) => {
  test("each keeps what its leader keeps alone", async () => {
    const [alone, shared] = [await keptBy(1, 40), await keptBy(reuse, 40)];
    // The layers do choose apart where they may: there is something to take over.
    expect(new Set(alone.map((layer) => JSON.stringify(layer))).size).toBeGreaterThan(1);
    for (const [l, positions] of shared.entries()) {
      expect(positions, `layer ${l}`).toEqual(alone[l - (l % reuse)]);
    }
  });

  test("only leaders are measured", async () => {
    const { engine } = model.parts.transformer;
    const measured = vi.spyOn(engine, "measureWindow");
    await keptBy(reuse, 40);
    expect(measured).toHaveBeenCalledTimes(Math.ceil(N_LAYERS / reuse));
  });

  test("a second prompt, over what is left: leader and followers agree", async () => {
    const kept = await keptBy(reuse, 60);
    for (const [l, positions] of kept.entries()) {
      expect(positions, `layer ${l}`).toEqual(kept[l - (l % reuse)]);
      expect(positions.map(({ length }) => length)).toEqual(positions.map(() => budget.tokens));
    }
  });
});

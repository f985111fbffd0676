// Sampled answers on a real device: drawn there, ahead of the host, they are what the host draws from
// the same logits, and what the reference says.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { SamplingOptions } from "../../../src/types.ts";
import { answer } from "../../support/sessions.ts";
import { syntheticLlama } from "../../support/toy-file.ts";
import { openLocal, REFERENCE } from "../../support/toys.ts";

// One kind of matrix and few tokens: a device on the CPU takes a second or more for each shader.
const shape = { nLayers: 2, hiddenSize: 64, ffnSize: 128, nHeads: 2, nKvHeads: 1, headDim: 32 };
const file = syntheticLlama({ ...shape, contextLength: 64 });
const ids = [3, 141, 59, 26, 53];
const N_TOKENS = 10;

let model: LocalModel;
let reference: LocalModel;
beforeAll(async () => {
  model = await openLocal(file, { engine: "webgpu" });
  reference = await openLocal(file, REFERENCE);
});
afterAll(() => [model, reference].forEach((one) => one.dispose()));

function setReadAhead(nSteps: number): void {
  const { engine } = model.parts.transformer;
  Object.defineProperty(engine, "readAhead", { value: nSteps, configurable: true });
}

/** Two turns of one session. */
async function turns(from: LocalModel, sampling: SamplingOptions): Promise<number[][]> {
  const session = from.session({ codec: "f32" });
  const told: number[][] = [];
  for (const [turn, tokens] of [ids, [7, 8]].entries()) {
    const options = { ...sampling, maxTokens: N_TOKENS, ignoreEos: true };
    told.push((await answer(session, { tokens }, { ...options, seed: turn + 5 })).ids);
  }
  session.dispose();
  return told;
}

describe.each<SamplingOptions>([
  { temperature: 0.9 },
  { temperature: 1, topK: 20 },
  { temperature: 1, topP: 0.6 },
  { temperature: 0.8, topK: 50, topP: 0.9, minP: 0.05 },
  { temperature: 1.3, minP: 0.3 },
])("%j", (sampling) => {
  test("the same tokens three steps ahead, step by step and on the reference", async () => {
    const { engine } = model.parts.transformer;
    const { vocabSize } = model.parts.transformer.config;
    const expected = await turns(reference, sampling);
    setReadAhead(0);
    expect(await turns(model, sampling)).toEqual(expected);
    setReadAhead(3);
    const read = vi.spyOn(engine, "read");
    expect(await turns(model, sampling)).toEqual(expected);
    const nWhole = read.mock.calls.filter(([, , bytes]) => bytes === 4 * vocabSize).length;
    // Of the candidates of top-k everything is told; the rest may need all logits now and then.
    expect(nWhole).toBeLessThan(sampling.topK === undefined ? N_TOKENS : 1);
    read.mockRestore();
  }, 60_000);
});

// What the cache is for: attention over what was kept, wherever it lies, is attention over
// everything with the rest masked out.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { maxAbs, nmse } from "../../support/matchers.ts";
import { NaiveTransformer } from "../../support/naive-transformer.ts";
import { Rng } from "../../support/rng.ts";
import { Sequence } from "../../support/sequence.ts";
import {
  openToy,
  REFERENCE,
  toyBytes,
  type Toy,
  toyGolden,
  TOYS,
  WASM_F32,
} from "../../support/toys.ts";

/** Largest difference of any logit; measured at most 7.5e-5, where logits deviate by 8. */
const BOUND = 1e-4;
const N_FIRST = 32;
const N_SECOND = 9;
const N_DECODED = 4;

test.each(TOYS)("the naive transformer agrees with transformers on %s: 1e-3", async (toy) => {
  const golden = toyGolden(toy);
  const naive = await NaiveTransformer.open(toyBytes(toy));
  const logits = naive.read(golden.ids).flatMap((row) => [...row]);
  expect(nmse(logits, golden.logits)).toBeLessThanOrEqual(1e-10);
  expect(maxAbs(logits, golden.logits)).toBeLessThanOrEqual(1e-3);
});

/** Rows to keep for each (layer, head), the newest among them, of other counts for each head. */
function randomKeeps(rng: Rng, sequence: Sequence): Uint32Array[][] {
  const { cache } = sequence;
  return Array.from({ length: cache.nLayers }, (_, l) =>
    Array.from(cache.layer(l).length, (n) => {
      const rows = rng.subset(n - 1, rng.integer(0, n));
      return Uint32Array.from([...rows, n - 1]);
    }),
  );
}

/** Compacts every layer, and returns which positions are left: a mask for the dense side. */
async function evict(rng: Rng, sequence: Sequence): Promise<Set<number>[][]> {
  const kept: Set<number>[][] = [];
  for (const [l, keep] of randomKeeps(rng, sequence).entries()) {
    sequence.cache.compact(l, keep);
    const positions = await sequence.cache.keptPositions(l);
    kept.push(positions.map((ofHead) => new Set(ofHead)));
  }
  return kept;
}

/** A second turn and decode over ragged rows, and after a second eviction decode again. */
async function compare(model: LocalModel, toy: Toy, seed: number, chunkSize: number) {
  const rng = new Rng(seed);
  const { ids } = toyGolden(toy);
  const naive = await NaiveTransformer.open(toyBytes(toy));
  const sequence = new Sequence(model, { chunkSize });
  const first = ids.slice(0, N_FIRST);
  const second = ids.slice(N_FIRST, N_FIRST + N_SECOND);
  await sequence.prefill(first);
  naive.read(first);
  let kept = await evict(rng, sequence);
  let before = N_FIRST;
  const isKept = (l: number, head: number, position: number) =>
    position >= before || kept[l]?.[head]?.has(position) === true;
  const worst = { prefill: 0, decode: 0 };
  const prefilled = await sequence.read(second);
  const expected = naive.read(second, isKept).flatMap((row) => [...row]);
  worst.prefill = maxAbs(prefilled, expected);
  const decode = async (tokens: readonly number[]) => {
    for (const token of tokens) {
      sequence.decoder.step(token);
      const [dense] = naive.read([token], isKept);
      const error = maxAbs(await sequence.decoder.logits(), dense as Float64Array);
      worst.decode = Math.max(worst.decode, error);
    }
  };
  const rest = ids.slice(N_FIRST + N_SECOND);
  await decode(rest.slice(0, N_DECODED));
  kept = await evict(rng, sequence);
  before = N_FIRST + N_SECOND + N_DECODED;
  await decode(rest.slice(N_DECODED, 2 * N_DECODED));
  sequence.dispose();
  return worst;
}

describe.each(TOYS)("%s: ragged rows against a dense mask", (toy) => {
  describe.each([WASM_F32, REFERENCE])("$engine", (mode) => {
    let model: LocalModel;
    beforeAll(async () => {
      model = await openToy(toy, mode);
    });
    afterAll(() => model.dispose());

    test.each([
      [1, 128],
      [2, 4],
      [3, 1],
    ])(`seed %i, chunks of %i: prefill and decode within ${BOUND}`, async (seed, chunkSize) => {
      const worst = await compare(model, toy, seed, chunkSize);
      expect(worst.prefill).toBeLessThanOrEqual(BOUND);
      expect(worst.decode).toBeLessThanOrEqual(BOUND);
    });
  });
});

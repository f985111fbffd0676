// Chunks, turns and repetitions make no difference to a single bit.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KvasirError } from "../../../src/errors.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import { isSameBits, Sequence, type SequenceOptions } from "../../support/sequence.ts";
import { nameOf, openToy, toyGolden, TOYS, WASM_F32, WASM_Q8 } from "../../support/toys.ts";

/** Bits of all logits and of the cache after one prompt. */
async function run(model: LocalModel, ids: readonly number[], options: SequenceOptions) {
  const sequence = new Sequence(model, options);
  const logits = await sequence.read(ids);
  const bits = [logits, await sequence.decoder.logits(), ...(await sequence.stored())];
  sequence.dispose();
  return bits;
}

for (const mode of [WASM_F32, WASM_Q8]) {
  describe.each(TOYS)(`%s on ${nameOf(mode)}`, (toy) => {
    const { ids } = toyGolden(toy);
    let model: LocalModel;
    let whole: Awaited<ReturnType<typeof run>>;
    beforeAll(async () => {
      model = await openToy(toy, mode);
      whole = await run(model, ids, { chunkSize: 60 });
    });
    afterAll(() => model.dispose());

    test.each([1, 7, 59, 64, 128])("chunks of %i give the bits of one", async (chunkSize) => {
      expect(isSameBits(await run(model, ids, { chunkSize }), whole)).toBe(true);
    });

    test("a run again gives the same bits", async () => {
      expect(isSameBits(await run(model, ids, { chunkSize: 60 }), whole)).toBe(true);
    });

    test("token by token, by decode, gives the bits of prefill", async () => {
      const sequence = new Sequence(model);
      const { vocabSize } = model.config;
      for (const [i, token] of ids.entries()) {
        sequence.decoder.step(token);
        const own = await sequence.decoder.logits();
        const row = (whole[0] as Float32Array).slice(i * vocabSize, (i + 1) * vocabSize);
        expect(isSameBits([own], [row]), `logits after token ${i}`).toBe(true);
      }
      expect(isSameBits(await sequence.stored(), whole.slice(2))).toBe(true);
      sequence.dispose();
    });

    test("two prompts give the bits of one, wherever it is cut", async () => {
      for (const cut of [1, 31, 59]) {
        const sequence = new Sequence(model);
        const [first, second] = [ids.slice(0, cut), ids.slice(cut)];
        const logits = [...(await sequence.read(first)), ...(await sequence.read(second))];
        const bits = [Float32Array.from(logits), await sequence.decoder.logits()];
        expect(isSameBits([...bits, ...(await sequence.stored())], whole), `cut ${cut}`).toBe(true);
        sequence.dispose();
      }
    });

    test("two sequences at once are each as alone", async () => {
      const other = [...ids].reverse();
      const alone = await run(model, other, {});
      const [a, b] = [new Sequence(model), new Sequence(model, { chunkSize: 7 })];
      const [first, second] = await Promise.all([a.read(ids), b.read(other)]);
      expect(isSameBits([first, await a.decoder.logits(), ...(await a.stored())], whole)).toBe(
        true,
      );
      expect(isSameBits([second, await b.decoder.logits(), ...(await b.stored())], alone)).toBe(
        true,
      );
      a.dispose();
      b.dispose();
    });

    test.each(["snapkv", "streaming-llm"])(
      "%s with keep 1 gives the bits of full",
      async (method) => {
        expect(isSameBits(await run(model, ids, { method, budget: { keep: 1 } }), whole)).toBe(
          true,
        );
      },
    );

    test("chunk sizes leave a compressed cache as it is", async () => {
      const options = { method: "snapkv", budget: { tokens: 16 } } as const;
      const spec = { ...options, method: { name: "snapkv", windowSize: 8 } };
      const expected = await run(model, ids, { ...spec, chunkSize: 60 });
      for (const chunkSize of [1, 7, 59]) {
        expect(isSameBits(await run(model, ids, { ...spec, chunkSize }), expected)).toBe(true);
      }
    });
  });
}

describe("prefill that ends early", () => {
  const { ids } = toyGolden("toy-llama");
  let model: LocalModel;
  beforeAll(async () => {
    model = await openToy("toy-llama");
  });
  afterAll(() => model.dispose());

  test("an abort frees everything and leaves the cache as it was", async () => {
    const { engine } = model.parts.transformer;
    const before = engine.memory().bytes;
    const controller = new AbortController();
    controller.abort("why");
    const sequence = new Sequence(model, { signal: controller.signal });
    const start = engine.memory().bytes;
    const failure: unknown = await sequence.prefill(ids).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KvasirError);
    expect(failure).toMatchObject({ code: "aborted", cause: "why" });
    expect(engine.memory().bytes).toBe(start);
    expect(sequence.cache.seen).toBe(0);
    sequence.dispose();
    expect(engine.memory().bytes).toBe(before);
  });

  test("an engine that runs out of memory in any allocation leaks none", async () => {
    const { engine } = model.parts.transformer;
    const before = engine.memory().bytes;
    const alloc = engine.alloc.bind(engine);
    let failed = 0;
    for (let nGood = 0; nGood < 200; nGood++) {
      let left = nGood;
      engine.alloc = (byteLength, label) => {
        if (left-- > 0) return alloc(byteLength, label);
        throw new KvasirError("out-of-memory", `Cannot allocate ${label}`);
      };
      let sequence: Sequence | undefined;
      try {
        sequence = new Sequence(model, {
          method: { name: "snapkv", windowSize: 8 },
          budget: { tokens: 16 },
        });
        await sequence.prefill(ids);
        engine.alloc = alloc;
        sequence.dispose();
        break;
      } catch (error) {
        expect(error).toMatchObject({ code: "out-of-memory" });
        failed++;
        expect(sequence?.cache.seen ?? 0).toBe(0);
        sequence?.dispose();
      } finally {
        engine.alloc = alloc;
      }
      expect(engine.memory().bytes, `bytes after failing at allocation ${nGood}`).toBe(before);
    }
    expect(failed).toBeGreaterThan(10);
    expect(engine.memory().bytes).toBe(before);
  });
});

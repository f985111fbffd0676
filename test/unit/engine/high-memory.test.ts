// wasm32 addresses 4 GiB: pointers above 2^31 are negative numbers to a kernel's i32, and still right.
import { describe, expect, test } from "vitest";
import type { Activations, Engine } from "../../../src/engine/engine.ts";
import { createWasmEngine } from "../../../src/engine/wasm/create.ts";
import { createHostKernels } from "../../../src/engine/wasm/select-kernels.ts";
import { KvasirError } from "../../../src/errors.ts";
import { parseGguf } from "../../../src/gguf/parse.ts";
import { BufferSource } from "../../../src/gguf/sources.ts";
import { LocalModel } from "../../../src/session/local-model.ts";
import { readModelConfig } from "../../../src/model/read-config.ts";
import { Transformer } from "../../../src/model/transformer.ts";
import { nodeRuntime } from "../../../src/runtime/node.ts";
import { createTokenizer } from "../../../src/tokenizer/from-gguf.ts";
import { loadWeights } from "../../../src/weights/load-weights.ts";
import { isSameBits, Sequence } from "../../support/sequence.ts";
import { type Toy, toyBytes, toyGolden } from "../../support/toys.ts";

const module = await nodeRuntime.loadKernels("simd128");
/** Untouched pages cost the machine nothing. */
const BALLAST = 2 ** 31 + 2 ** 16;

async function openOn(engine: Engine, toy: Toy): Promise<LocalModel> {
  const gguf = await parseGguf(new BufferSource(toyBytes(toy)));
  const config = readModelConfig(gguf);
  const weights = await loadWeights(engine, gguf, config);
  const tokenizer = createTokenizer(gguf.metadata);
  const transformer = new Transformer(engine, config, weights);
  const kernels = createHostKernels(module);
  const parts = { transformer, tokenizer, chatTemplate: null, kernels, modelHash: weights.hash };
  return new LocalModel(parts, 0);
}

/** Everything that a model does: prefill, measure, gather, attend over ragged rows, argmax. */
async function bitsOf(engine: Engine, toy: Toy) {
  const { ids } = toyGolden(toy);
  const model = await openOn(engine, toy);
  const options = { method: { name: "snapkv", windowSize: 8 }, budget: { tokens: 20 } };
  const sequence = new Sequence(model, options);
  const logits = await sequence.read(ids);
  const tokens = Float32Array.from(await sequence.greedy(6));
  const bits = [logits, tokens, await sequence.decoder.logits(), ...(await sequence.stored())];
  sequence.dispose();
  return bits;
}

describe("above 2 GiB", () => {
  test.each<readonly [Toy, Activations]>([
    ["toy-qwen3", "q8"],
    ["toy-gemma3", "f32"],
    ["toy-qwen2", "q8"],
  ])("%s in %s: the bits of a low memory", async (toy, activations) => {
    const low = await bitsOf(createWasmEngine({ module, activations }), toy);
    const high = createWasmEngine({ module, activations });
    const ballast = high.alloc(BALLAST, "ballast");
    expect(isSameBits(await bitsOf(high, toy), low)).toBe(true);
    expect(high.memory().reservedBytes).toBeGreaterThan(BALLAST);
    high.free(ballast);
  });

  test("write, copy and read at both ends of 3 GiB", async () => {
    const engine = createWasmEngine({ module, activations: "f32" });
    const size = 3 * 2 ** 30;
    const buffer = engine.alloc(size, "large");
    const bytes = Uint8Array.of(1, 2, 3, 4);
    engine.write(buffer, size - 4, bytes);
    engine.copy(buffer, 0, buffer, size - 4, 4);
    expect(await engine.read(buffer, 0, 4)).toEqual(bytes);
    expect(await engine.read(buffer, size - 4, 4)).toEqual(bytes);
    expect(engine.memory().bytes).toBe(size);
    engine.free(buffer);
    expect(engine.memory().bytes).toBe(0);
  });

  test("more than is left: out-of-memory with both numbers, and the engine goes on", () => {
    const engine = createWasmEngine({ module, activations: "f32" });
    const first = engine.alloc(3 * 2 ** 30, "first");
    const failure = (() => {
      try {
        engine.alloc(2 ** 30, "second");
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(failure).toBeInstanceOf(KvasirError);
    expect(failure).toMatchObject({
      code: "out-of-memory",
      message: expect.stringMatching(/second: wanted 1073741824 bytes, \d+ bytes left/) as unknown,
    });
    engine.free(engine.alloc(2 ** 20, "small"));
    engine.free(first);
    engine.free(engine.alloc(2 ** 30, "second"));
  });
});

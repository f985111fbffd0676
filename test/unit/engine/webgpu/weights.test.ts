// Matrices that no one binding can hold, and the buffers that matrices share.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../../../src/engine/engine.ts";
import { createReferenceEngine } from "../../../../src/engine/reference/engine.ts";
import { expectSame, onEngine, Rig } from "../../../contract/rig.ts";
import { randomBlocks } from "../../../support/random-blocks.ts";
import { Rng, seedOf } from "../../../support/rng.ts";
import { webGpuEngine } from "../../../support/webgpu.ts";

/** Of a binding: 56 rows of f32, and a little. */
const MAX_BINDING_BYTES = 56 * 256 * 4 + 100;
const [N_ROWS, N_COLS] = [150, 256];
const BOUND = 1e-11;

const oracle = createReferenceEngine();

describe("a matrix in three parts (NMSE <= 1e-11)", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await webGpuEngine({ maxBindingBytes: MAX_BINDING_BYTES });
  });
  afterAll(() => engine.dispose());

  const blocks = (rng: Rng): Uint8Array => randomBlocks(rng, "F32", N_ROWS, N_COLS);

  it("counts its bytes, and gives them back", async () => {
    await onEngine(engine, async (rig) => {
      const weight = rig.weight("F32", N_ROWS, N_COLS, blocks(new Rng(1)));
      expect(weight.byteLength).toBe(N_ROWS * N_COLS * 4);
    });
  });

  it("embed: rows of every part, and of their edges", async () => {
    const rng = new Rng(seedOf("split embed"));
    const data = blocks(rng);
    const tokens = [0, 55, 56, 57, 111, 112, 149];
    await expectSame(engine, oracle, 0, rng.seed, async (rig) => {
      const out = rig.space(tokens.length * N_COLS);
      const weight = rig.weight("F32", N_ROWS, N_COLS, data);
      rig.engine.embed(out, weight, rig.u32(tokens), tokens.length, 1);
      return rig.readF32(out);
    });
  });

  for (const nTokens of [1, 3, 9]) {
    it(`normProject with a bias, beside a whole one, ${nTokens} tokens`, async () => {
      const rng = new Rng(seedOf(`split normProject ${nTokens}`));
      const [first, data] = [randomBlocks(rng, "F32", 8, N_COLS), blocks(rng)];
      const [x, norm] = [rng.normals(nTokens * N_COLS), rng.uniforms(N_COLS, 0.5, 1.5)];
      const bias = rng.normals(N_ROWS);
      await expectSame(engine, oracle, BOUND, rng.seed, async (rig) => {
        const out = rig.space(nTokens * (8 + N_ROWS));
        const projections = [
          { weight: rig.weight("F32", 8, N_COLS, first) },
          { weight: rig.weight("F32", N_ROWS, N_COLS, data), bias: rig.f32(bias) },
        ];
        rig.engine.normProject(out, rig.f32(x), rig.norm(norm), projections, nTokens);
        return rig.readF32(out);
      });
    });

    it(`normGateUp and projectAdd, ${nTokens} tokens`, async () => {
      const rng = new Rng(seedOf(`split normGateUp ${nTokens}`));
      const [gate, up] = [blocks(rng), blocks(rng)];
      const [x, norm] = [rng.normals(nTokens * N_COLS), rng.uniforms(N_COLS, 0.1, 0.3)];
      const sum = rng.normals(nTokens * N_ROWS);
      await expectSame(engine, oracle, BOUND, rng.seed, async (rig) => {
        const out = rig.space(nTokens * N_ROWS);
        const weights = [gate, up].map((data) => rig.weight("F32", N_ROWS, N_COLS, data));
        const [a, b] = weights as [(typeof weights)[0], (typeof weights)[0]];
        const input = rig.f32(x);
        rig.engine.normGateUp(out, input, rig.norm(norm), a, b, "silu", nTokens);
        const added = rig.f32(sum);
        rig.engine.projectAdd(added, input, a, nTokens);
        const results = [await rig.readF32(out), await rig.readF32(added)];
        return Float32Array.from(results.flatMap((values) => Array.from(values)));
      });
    });
  }
});

describe("buffers of weights", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await webGpuEngine();
  });
  afterAll(() => engine.dispose());

  it("what was reserved is taken once, and given back with the last matrix", () => {
    const before = engine.memory().reservedBytes;
    const byteLength = engine.weightByteLength("F32", 2048, 64);
    engine.reserve(3 * byteLength);
    const weights = [0, 1, 2].map(() => engine.createWeight("w", "F32", 2048, 64));
    expect(engine.memory().reservedBytes - before).toBe(3 * byteLength);
    for (const weight of weights) engine.freeWeight(weight);
    expect(engine.memory().reservedBytes).toBe(before);
  });

  it("a freed matrix makes room for others, in any order", async () => {
    const rng = new Rng(seedOf("weights in mixed order"));
    const rig = new Rig(engine);
    const tokens = rig.u32([0, 1, 7]);
    const out = rig.space(3 * 64);
    const live: { data: Float32Array; weight: ReturnType<Engine["createWeight"]> }[] = [];
    for (let round = 0; round < 24; round++) {
      if (live.length > 4) {
        const [gone] = live.splice(rng.integer(0, live.length), 1);
        if (gone) engine.freeWeight(gone.weight);
      }
      const nRows = 8 * rng.integer(1, 60);
      const data = rng.normals(nRows * 64);
      const weight = engine.createWeight(`w${round}`, "F32", nRows, 64);
      engine.writeWeightRows(weight, 0, new Uint8Array(data.buffer));
      live.push({ data, weight });
    }
    for (const { data, weight } of live) {
      engine.embed(out, weight, tokens, 3, 1);
      const rows = [0, 1, 7].flatMap((row) => Array.from(data.subarray(row * 64, row * 64 + 64)));
      expect(Array.from(await rig.readF32(out))).toEqual(rows);
      engine.freeWeight(weight);
    }
    rig.release();
    expect(engine.memory()).toMatchObject({ bytes: 0, weightBytes: 0 });
  });
});

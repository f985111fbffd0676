// Contract, part 5: a token's result does not depend on how many tokens share the call, bit for bit.
import { it } from "vitest";
import type { CodecName, Engine, EngineBuffer, Norm, Weight } from "../../../src/engine/engine.ts";
import type { TensorTypeName } from "../../../src/gguf/tensor-type.ts";
import { randomBlocks } from "../../support/random-blocks.ts";
import { randomRows } from "../../support/random-rows.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { expectBits, onEngine, type Engines, type Rig } from "../rig.ts";
import { attentionCase } from "./attention.ts";

/** Tokens per call: all at once, one by one, in two pieces, in uneven pieces. */
const SPLITS = [[9], Array<number>(9).fill(1), [8, 1], [4, 5], [2, 7]];
export const N_TOKENS = 9;
const TYPES: readonly TensorTypeName[] = [
  "F32",
  "F16",
  "Q4_0",
  "Q5_1",
  "Q8_0",
  "Q4_K",
  "Q6_K",
  "IQ4_XS",
];

type Op = (
  engine: Engine,
  parts: { out: EngineBuffer; x: EngineBuffer; norm: Norm; weight: Weight; other: Weight },
  nTokens: number,
) => void;

const OPS: Record<string, Op> = {
  normProject: (engine, { out, x, norm, weight }, n) =>
    engine.normProject(out, x, norm, [{ weight }], n),
  projectAdd: (engine, { out, x, weight }, n) => engine.projectAdd(out, x, weight, n),
  "projectAdd, post norm": (engine, { out, x, weight, norm }, n) => {
    const postNorm = { ...norm, weight: engine.slice(norm.weight, 0, weight.nRows * 4) };
    engine.projectAdd(out, x, weight, n, postNorm);
  },
  normGateUp: (engine, { out, x, norm, weight, other }, n) =>
    engine.normGateUp(out, x, norm, weight, other, "silu", n),
  logits: (engine, { out, x, norm, weight }, n) => engine.logits(out, x, norm, weight, n),
};

export function chunkContract(engines: () => Engines): void {
  for (const [name, op] of Object.entries(OPS)) {
    for (const type of TYPES) {
      it(`${name} ${type}: chunks do not matter (exact)`, async ({ skip }) => {
        if (engines().engine.name === "webgpu") skip();
        const rng = new Rng(seedOf(`chunks ${name} ${type}`));
        await expectSplitsAgree(engines().engine, rng.seed, projectionRun(rng, type, op));
      });
    }
  }

  for (const codec of ["f32", "f16"] as const) {
    for (const window of [0, 6]) {
      it(`attend ${codec}, window ${window}: chunks do not matter (exact)`, async ({ skip }) => {
        if (engines().engine.name === "webgpu") skip();
        const rng = new Rng(seedOf(`chunks attend ${codec} ${window}`));
        const options = { codec, window, headDim: 80, lengths: [9, 70, 41], nQueries: N_TOKENS };
        await expectSplitsAgree(engines().engine, rng.seed, attendRun(rng, options));
      });
    }
    it(`ropeAppend ${codec}: chunks do not matter (exact)`, async ({ skip }) => {
      if (engines().engine.name === "webgpu") skip();
      const rng = new Rng(seedOf(`chunks ropeAppend ${codec}`));
      await expectSplitsAgree(engines().engine, rng.seed, appendRun(rng, codec));
    });
  }
}

type SplitRun = (rig: Rig, split: readonly number[]) => Promise<Float32Array>;

export async function expectSplitsAgree(
  engine: Engine,
  seed: number,
  run: SplitRun,
): Promise<void> {
  const results: Float32Array[] = [];
  for (const split of SPLITS) results.push(await onEngine(engine, (rig) => run(rig, split)));
  for (const [i, result] of results.entries()) {
    expectBits(result, results[0], `split ${SPLITS[i]?.join("+")}, seed ${seed}`);
  }
}

/** Calls `visit` with the first token and the number of tokens of each piece. */
function forPieces(split: readonly number[], visit: (first: number, n: number) => void): void {
  let first = 0;
  for (const n of split) {
    visit(first, n);
    first += n;
  }
}

/** The f32 of tokens `first .. first + n`, `width` per token. */
function tokens(
  rig: Rig,
  buffer: EngineBuffer,
  width: number,
  first: number,
  n: number,
): EngineBuffer {
  return rig.engine.slice(buffer, first * width * 4, n * width * 4);
}

function projectionRun(rng: Rng, type: TensorTypeName, op: Op): SplitRun {
  const [nRows, nCols] = [43, 256];
  const blocks = [randomBlocks(rng, type, nRows, nCols), randomBlocks(rng, type, nRows, nCols)];
  const [x, out] = [rng.normals(N_TOKENS * nCols), rng.normals(N_TOKENS * nRows)];
  const normWeight = rng.uniforms(nCols, 0.5, 1.5);
  return async (rig, split) => {
    const [weight, other] = blocks.map((data) => rig.weight(type, nRows, nCols, data));
    if (!weight || !other) throw new Error("Two weights are wanted");
    const [outBuffer, xBuffer, norm] = [rig.f32(out), rig.f32(x), rig.norm(normWeight)];
    forPieces(split, (first, n) => {
      const outPart = tokens(rig, outBuffer, nRows, first, n);
      const xPart = tokens(rig, xBuffer, nCols, first, n);
      op(rig.engine, { out: outPart, x: xPart, norm, weight, other }, n);
    });
    return rig.readF32(outBuffer);
  };
}

/** All rows are written; a piece sees the layer as long as it was after its own rows. */
export function attendRun(rng: Rng, options: Parameters<typeof attentionCase>[1]): SplitRun {
  const { shape, rows: host, qkv, firstPosition } = attentionCase(rng, options);
  const stride = (shape.nHeads + 2 * shape.nKvHeads) * shape.headDim;
  const width = shape.nHeads * shape.headDim;
  return async (rig, split) => {
    const [out, qkvBuffer, rows] = [rig.space(N_TOKENS * width), rig.f32(qkv), rig.rows(host)];
    forPieces(split, (first, n) => {
      host.length.forEach((length, head) => (rows.length[head] = length - N_TOKENS + first + n));
      const outPart = tokens(rig, out, width, first, n);
      const queries = tokens(rig, qkvBuffer, stride, first, n);
      rig.engine.attend(outPart, queries, rows, shape, firstPosition + first, n);
    });
    return rig.readF32(out);
  };
}

export function appendRun(rng: Rng, codec: CodecName): SplitRun {
  const shape = { nHeads: 6, nKvHeads: 2, headDim: 96, ropeStyle: "half" as const };
  const { nHeads, nKvHeads, headDim } = shape;
  const lengths = { lengths: [4, 11], nNew: 0, nextPosition: 30, nSpare: N_TOKENS };
  const host = randomRows(rng, { codec, shape, ...lengths });
  const stride = (nHeads + 2 * nKvHeads) * headDim;
  const qkv = rng.normals(N_TOKENS * stride);
  const norms = [rng.uniforms(headDim, 0.5, 2), rng.uniforms(headDim, 0.5, 2)];
  return async (rig, split) => {
    const [qNorm, kNorm] = norms.map((weight) => rig.norm(weight));
    if (!qNorm || !kNorm) throw new Error("Two norms are wanted");
    const [buffer, rows] = [rig.f32(qkv), rig.rows(host)];
    forPieces(split, (first, n) => {
      const table = rig.space(n * headDim);
      rig.engine.ropeTable(table, { base: 10000, headDim }, 30 + first, n);
      const part = tokens(rig, buffer, stride, first, n);
      rig.engine.ropeAppend(part, rows, table, { ...shape, qNorm, kNorm }, 30 + first, n);
    });
    const { keys, values, positions } = await rig.readRows(rows);
    const queries = await rig.readF32(buffer);
    return Float32Array.of(...queries, ...keys, ...values, ...positions);
  };
}

// Contract, part 2: everything that multiplies by a weight, and argmax.
import { describe, expect, it } from "vitest";
import type { Activation, Norm } from "../../../src/engine/engine.ts";
import { TENSOR_TYPES, type TensorTypeName } from "../../../src/gguf/tensor-type.ts";
import { inputsOffTies } from "../../support/off-ties.ts";
import { randomBlocks } from "../../support/random-blocks.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import {
  boundOf,
  expectProjection,
  expectSame,
  onEngine,
  type Engines,
  type Rig,
  type Tolerances,
} from "../rig.ts";

const TYPES = Object.keys(TENSOR_TYPES) as TensorTypeName[];
/** 1, 2 and the surroundings of 8 tokens, and a long tail. */
const TOKENS = [1, 2, 7, 8, 9, 33];
const EPS = 1e-5;

/** Columns that the format's block allows, odd ones where it has none. */
function columnsOf(type: TensorTypeName): number[] {
  const { blockSize } = TENSOR_TYPES[type];
  if (blockSize === 1) return [37, 100, 64];
  return blockSize === 32 ? [32, 96, 160] : [256, 512];
}

interface Matrix {
  readonly type: TensorTypeName;
  readonly nRows: number;
  readonly nCols: number;
  readonly blocks: Uint8Array;
}

export function matrix(rng: Rng, type: TensorTypeName, nRows: number, nCols: number): Matrix {
  return { type, nRows, nCols, blocks: randomBlocks(rng, type, nRows, nCols) };
}

function weightOf(rig: Rig, { type, nRows, nCols, blocks }: Matrix): ReturnType<Rig["weight"]> {
  return rig.weight(type, nRows, nCols, blocks);
}

/** What the tests of one op on weights of these types are held to, and how their names say it. */
function boundsOf(
  { tolerances }: Suite,
  types: readonly TensorTypeName[],
): { tight: number; loose: number; name: string } {
  const tight = boundOf(tolerances, tolerances.project, types);
  return { tight, loose: tolerances.projectExact, name: `NMSE <= ${tight}` };
}

interface Suite {
  readonly engines: () => Engines;
  readonly tolerances: Tolerances;
}

export function projectionContract(engines: () => Engines, tolerances: Tolerances): void {
  const suite = { engines, tolerances };
  describe("embed", () => embedContract(suite));
  describe("normProject", () => normProjectContract(suite));
  describe("projectAdd", () => projectAddContract(suite));
  describe("normGateUp", () => normGateUpContract(suite));
  describe("logits", () => logitsContract(suite));
  describe("argmax", () => argmaxContract(suite));
}

function embedContract({ engines, tolerances }: Suite): void {
  for (const type of TYPES) {
    const bound = boundOf(tolerances, tolerances.norm, [type]);
    it(`${type}: rows by token, scaled (NMSE <= ${bound})`, async () => {
      const rng = new Rng(seedOf(`embed ${type}`));
      for (const nCols of columnsOf(type)) {
        const table = matrix(rng, type, 19, nCols);
        const tokens = [18, 0, 7, 8, 7];
        for (const scale of [1, Math.sqrt(nCols)]) {
          const { engine, exact } = engines();
          await expectSame(engine, exact, bound, rng.seed, async (rig) => {
            const out = rig.space(tokens.length * nCols);
            rig.engine.embed(out, weightOf(rig, table), rig.u32(tokens), tokens.length, scale);
            return rig.readF32(out);
          });
        }
      }
    });
  }
}

function normProjectContract(suite: Suite): void {
  for (const type of TYPES) {
    const { name } = boundsOf(suite, [type]);
    it(`${type}: any number of tokens, columns and rows (${name})`, async () => {
      const rng = new Rng(seedOf(`normProject ${type}`));
      const shapes = columnsOf(type).flatMap((nCols) => [
        [nCols, 1],
        [nCols, 13],
        [nCols, 32],
      ]);
      for (const [i, [nCols = 0, nRows = 0]] of shapes.entries()) {
        const nTokens = TOKENS[i % TOKENS.length] ?? 1;
        await checkNormProject(suite, rng, [matrix(rng, type, nRows, nCols)], nTokens, []);
      }
      const widest = columnsOf(type).at(-1) ?? 0;
      for (const nTokens of TOKENS) {
        await checkNormProject(suite, rng, [matrix(rng, type, 21, widest)], nTokens, [0]);
      }
      // More than a panel that is laid out at once, and a panel of three rows.
      await checkNormProject(suite, rng, [matrix(rng, type, 11, 1792)], 13, []);
    });
  }

  const stacks: TensorTypeName[][] = [
    ["Q4_0", "Q8_0", "F32"],
    ["Q4_K", "Q6_K", "Q5_0"],
    ["F16", "IQ4_NL", "Q4_1"],
    ["Q2_K", "BF16", "Q3_K"],
    ["IQ4_XS", "Q5_1", "Q5_K"],
  ];
  for (const [i, types] of stacks.entries()) {
    const { name } = boundsOf(suite, types);
    it(`${types.join(", ")} side by side, biases on some (${name})`, async () => {
      const rng = new Rng(seedOf(`normProject ${types.join()}`));
      const matrices = types.map((type, k) => matrix(rng, type, [24, 13, 9][k] ?? 1, 256));
      await checkNormProject(suite, rng, matrices, 1, [i % 3, 2]);
      await checkNormProject(suite, rng, matrices, 9, [i % 3, 2]);
    });
  }

  const bounds = boundsOf(suite, ["Q8_0"]);
  it(`inputs from 1e-18 to 1e15 and zeros (${bounds.name})`, async () => {
    const rng = new Rng(seedOf("normProject extremes"));
    const table = matrix(rng, "Q8_0", 16, 64);
    const weight = rng.uniforms(64, 0.5, 1.5);
    const plain = inputsOffTies(rng, 1, 64, { weight, eps: 0 });
    for (const factor of [0, 2 ** -60, 2 ** -10, 2 ** 50]) {
      const x = plain.map((value) => value * factor);
      // With eps 0 a power of two changes no code; zeros need a norm that does not divide by 0.
      const eps = factor === 0 || factor === 2 ** -60 ? EPS : 0;
      await expectProjection(suite.engines(), bounds, rng.seed, async (rig) => {
        const out = rig.space(16);
        const norm = rig.norm(weight, eps);
        rig.engine.normProject(out, rig.f32(x), norm, [{ weight: weightOf(rig, table) }], 1);
        return rig.readF32(out);
      });
    }
  });
}

export async function checkNormProject(
  suite: Suite,
  rng: Rng,
  matrices: Matrix[],
  nTokens: number,
  biased: number[],
): Promise<void> {
  const types = matrices.map(({ type }) => type);
  const nCols = matrices[0]?.nCols ?? 0;
  const weight = rng.uniforms(nCols, 0.5, 1.5);
  const x = inputsOffTies(rng, nTokens, nCols, { weight, eps: EPS });
  const biases = matrices.map(({ nRows }) => rng.normals(nRows));
  const stride = matrices.reduce((sum, { nRows }) => sum + nRows, 0);
  await expectProjection(suite.engines(), boundsOf(suite, types), rng.seed, async (rig) => {
    const projections = matrices.map((m, i) => {
      const bias = biases[i];
      const projected = { weight: weightOf(rig, m) };
      return biased.includes(i) && bias ? { ...projected, bias: rig.f32(bias) } : projected;
    });
    const out = rig.space(nTokens * stride);
    rig.engine.normProject(out, rig.f32(x), rig.norm(weight, EPS), projections, nTokens);
    return rig.readF32(out);
  });
}

function projectAddContract(suite: Suite): void {
  for (const type of TYPES) {
    const bounds = boundsOf(suite, [type]);
    for (const isNormed of [false, true]) {
      const how = isNormed ? "normed, then added" : "added";
      it(`${type}: ${how} to what is there (${bounds.name})`, async () => {
        const rng = new Rng(seedOf(`projectAdd ${type} ${isNormed}`));
        const nCols = columnsOf(type).at(-1) ?? 0;
        for (const nTokens of TOKENS) {
          const table = matrix(rng, type, nTokens % 2 === 0 ? 16 : 11, nCols);
          const input = inputsOffTies(rng, nTokens, nCols);
          const x = rng.normals(nTokens * table.nRows);
          const weight = rng.uniforms(table.nRows, 0.5, 1.5);
          await expectProjection(suite.engines(), bounds, rng.seed, async (rig) => {
            const sum = rig.f32(x);
            const postNorm: Norm[] = isNormed ? [rig.norm(weight, EPS)] : [];
            const projection = weightOf(rig, table);
            rig.engine.projectAdd(sum, rig.f32(input), projection, nTokens, ...postNorm);
            return rig.readF32(sum);
          });
        }
      });
    }
  }
}

function normGateUpContract(suite: Suite): void {
  const pairs: [TensorTypeName, TensorTypeName][] = [
    ["F32", "F32"],
    ["Q4_0", "Q4_0"],
    ["Q4_K", "Q6_K"],
    ["Q8_0", "F16"],
    ["Q5_1", "IQ4_NL"],
  ];
  for (const activation of ["silu", "gelu-tanh"] as const) {
    for (const [gate, up] of pairs) {
      const { name: bound } = boundsOf(suite, [gate, up]);
      it(`${activation}, gate ${gate}, up ${up} (${bound})`, async () => {
        const rng = new Rng(seedOf(`normGateUp ${activation} ${gate} ${up}`));
        for (const nTokens of TOKENS) {
          await checkGateUp(suite, rng, activation, [gate, up], nTokens, 1);
        }
      });
    }
    it(`${activation}: gates from -200 to 200 are finite (${boundsOf(suite, []).name})`, async () => {
      const rng = new Rng(seedOf(`normGateUp extremes ${activation}`));
      await checkGateUp(suite, rng, activation, ["F32", "F32"], 9, 12);
    });
  }
}

export async function checkGateUp(
  suite: Suite,
  rng: Rng,
  activation: Activation,
  types: readonly [TensorTypeName, TensorTypeName],
  nTokens: number,
  factor: number,
): Promise<void> {
  const [nRows, nCols] = [nTokens % 2 === 0 ? 40 : 27, 256];
  const [gate, up] = [matrix(rng, types[0], nRows, nCols), matrix(rng, types[1], nRows, nCols)];
  // Sums of 256 products of unit variance would saturate both activations.
  const weight = rng.uniforms(nCols, 0.03 * factor, 0.1 * factor);
  const x = inputsOffTies(rng, nTokens, nCols, { weight, eps: EPS });
  // The product of two projections, and activations that bend, lose more than one projection.
  const { tight, loose } = boundsOf(suite, types);
  await expectProjection(suite.engines(), { tight, loose: 10 * loose }, rng.seed, async (rig) => {
    const out = rig.space(nTokens * nRows);
    const weights = [weightOf(rig, gate), weightOf(rig, up)] as const;
    const norm = rig.norm(weight, EPS);
    rig.engine.normGateUp(out, rig.f32(x), norm, ...weights, activation, nTokens);
    return rig.readF32(out);
  });
}

function logitsContract(suite: Suite): void {
  for (const type of ["Q8_0", "Q6_K", "F16", "Q4_1"] as const) {
    const bounds = boundsOf(suite, [type]);
    it(`${type}: a tall matrix (${bounds.name})`, async () => {
      const rng = new Rng(seedOf(`logits ${type}`));
      const table = matrix(rng, type, 1003, 256);
      const weight = rng.uniforms(256, 0.5, 1.5);
      for (const nTokens of [1, 9]) {
        const x = inputsOffTies(rng, nTokens, 256, { weight, eps: EPS });
        await expectProjection(suite.engines(), bounds, rng.seed, async (rig) => {
          const out = rig.space(nTokens * 1003);
          const norm = rig.norm(weight, EPS);
          rig.engine.logits(out, rig.f32(x), norm, weightOf(rig, table), nTokens);
          return rig.readF32(out);
        });
      }
    });
  }
}

export function argmaxContract(suite: Suite): void {
  const cases: [string, number[][], number[]][] = [
    [
      "the first on ties",
      [
        [1, 3, 3, 2, 3],
        [7, 7, 7, 7, 7],
      ],
      [1, 0],
    ],
    [
      "below zero and -Infinity",
      [
        [-5, -Infinity, -4, -4.5],
        [-1e30, -2, -3, -9],
      ],
      [2, 1],
    ],
    ["-0 and 0 tie", [[-1, -0, 0, -2]], [1]],
    ["one column", [[-3], [4]], [0, 0]],
    ["the last, and the largest finite", [[0, 1, 2, 3.4e38]], [3]],
  ];
  for (const [name, rows, expected] of cases) {
    it(`${name} (exact)`, () => checkArgmax(suite, rows, expected));
  }

  it("the first of two equal ones, wherever they are in 1031 columns (exact)", async () => {
    const rng = new Rng(seedOf("argmax wide"));
    const rows = Array.from({ length: 9 }, () => Array.from(rng.normals(1031)));
    const expected = rows.map((row) => {
      const [first = 0, second = 0] = rng.subset(1031, 2);
      row[first] = row[second] = 100;
      return first;
    });
    await checkArgmax(suite, rows, expected);
  });
}

async function checkArgmax(
  { engines }: Suite,
  rows: number[][],
  expected: number[],
): Promise<void> {
  await onEngine(engines().engine, async (rig) => {
    const out = rig.u32(expected.map(() => 0xffffffff));
    const logits = rig.f32(Float32Array.from(rows.flat()));
    rig.engine.argmax(out, logits, rows.length, rows[0]?.length ?? 0);
    expect(Array.from(await rig.readU32(out))).toEqual(expected);
  });
}

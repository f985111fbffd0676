// Contract, part 4: rotating, appending and gathering rows.
import { describe, expect, it } from "vitest";
import type {
  CodecName,
  Engine,
  HeadShape,
  RopeFrequencies,
  RopeShape,
} from "../../../src/engine/engine.ts";
import { maxAbs } from "../../support/matchers.ts";
import { decodeRows, encodeRows } from "../../support/random-blocks.ts";
import { hostHead, randomRows } from "../../support/random-rows.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import {
  expectNmse,
  onEngine,
  type Engines,
  type HostRows,
  type Rig,
  type Tolerances,
} from "../rig.ts";

export function rowsContract(engines: () => Engines, tolerances: Tolerances): void {
  describe("ropeTable", () => ropeTableContract(engines));
  describe("ropeAppend", () => ropeAppendContract(engines, tolerances));
  describe("gatherRows", () => gatherContract(engines));
}

function ropeTableContract(engines: () => Engines): void {
  const factors = Float32Array.from({ length: 32 }, (_, i) => 1 + i / 8);
  const cases: [string, RopeFrequencies, number, number][] = [
    ["headDim 64 from 0", { base: 10000, headDim: 64 }, 0, 33],
    ["headDim 80, base 1e6, from 131071", { base: 1e6, headDim: 80 }, 131071, 9],
    ["headDim 256, linear scaling 8", { base: 1e6, headDim: 256, scale: 8 }, 1000, 7],
    ["headDim 64, factors", { base: 500000, headDim: 64, factors }, 8191, 8],
    ["headDim 64, factors and scaling", { base: 500000, headDim: 64, factors, scale: 3 }, 77, 1],
    ["headDim 2", { base: 10000, headDim: 2 }, 5, 2],
  ];
  for (const [name, frequencies, firstPosition, nTokens] of cases) {
    it(`${name} (max abs <= 2e-7)`, async () => {
      const run = async (rig: Rig): Promise<Float32Array> => {
        const out = rig.space(nTokens * frequencies.headDim);
        rig.engine.ropeTable(out, frequencies, firstPosition, nTokens);
        return rig.readF32(out);
      };
      const expected = await onEngine(engines().exact, run);
      const actual = await onEngine(engines().engine, run);
      expect(maxAbs(actual, expected)).toBeLessThanOrEqual(2e-7);
    });
  }
}

interface AppendCase {
  readonly shape: RopeShape;
  readonly rows: HostRows;
  readonly qkv: Float32Array;
  readonly norms: readonly Float32Array[];
  readonly nTokens: number;
}

const HEADS: readonly (readonly [headDim: number, nGroups: number, nKvHeads: number])[] = [
  [32, 1, 2],
  [64, 3, 3],
  [80, 1, 1],
  [96, 2, 2],
  [128, 8, 1],
  [256, 4, 1],
];

interface AppendOptions {
  readonly head: (typeof HEADS)[number];
  readonly ropeStyle: RopeShape["ropeStyle"];
  readonly codec: CodecName;
  readonly nTokens: number;
  readonly isNormed: boolean;
}

export function appendCase(rng: Rng, options: AppendOptions): AppendCase {
  const { head, ropeStyle, codec, nTokens, isNormed } = options;
  const [headDim, nGroups, nKvHeads] = head;
  const shape = { nHeads: nKvHeads * nGroups, nKvHeads, headDim, ropeStyle };
  const lengths = [5, 0, 11].slice(0, nKvHeads);
  const rowsOptions = { codec, shape, lengths, nNew: 0, nextPosition: 40, nSpare: nTokens };
  return {
    shape,
    rows: randomRows(rng, rowsOptions),
    qkv: rng.normals(nTokens * (shape.nHeads + 2 * nKvHeads) * headDim),
    norms: isNormed ? [rng.uniforms(headDim, 0.5, 2), rng.uniforms(headDim, 0.5, 2)] : [],
    nTokens,
  };
}

/** The same table everywhere, so that only the op is compared: cos and sin of any angles. */
function anyTable(nTokens: number, headDim: number): Float32Array {
  return Float32Array.from({ length: nTokens * headDim }, (_, i) => {
    const angle = 0.37 * (i >> 1);
    return i % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });
}

export async function runAppend(
  rig: Rig,
  { shape, rows: host, qkv, norms, nTokens }: AppendCase,
): Promise<{
  queries: Float32Array;
  keys: Float32Array;
  values: Float32Array;
  positions: Float32Array;
}> {
  const { nHeads, nKvHeads, headDim } = shape;
  const [buffer, rows] = [rig.f32(qkv), rig.rows(host)];
  const [qNorm, kNorm] = norms.map((weight) => rig.norm(weight, 1e-6));
  const normed = qNorm && kNorm ? { ...shape, qNorm, kNorm } : shape;
  const table = rig.f32(anyTable(nTokens, headDim));
  rig.engine.ropeAppend(buffer, rows, table, normed, 40, nTokens);
  expect(Array.from(rows.length)).toEqual(host.length.map((length) => length + nTokens));
  const all = await rig.readF32(buffer);
  const stride = (nHeads + 2 * nKvHeads) * headDim;
  const used = (nHeads + nKvHeads) * headDim; // q and rotated k; v is in the rows
  const queries = all.filter((_, i) => i % stride < used);
  return { queries, ...(await rig.readRows(rows)) };
}

function ropeAppendContract(engines: () => Engines, tolerances: Tolerances): void {
  for (const ropeStyle of ["interleaved", "half"] as const) {
    for (const codec of ["f32", "f16"] as const) {
      for (const isNormed of [false, true]) {
        const bound = codec === "f32" ? tolerances.rope : tolerances.ropeHalf;
        const name = `${ropeStyle}, ${codec}, ${isNormed ? "with" : "without"} q and k norm`;
        it(`${name} (q NMSE <= ${tolerances.rope}, k <= ${bound}, v exact)`, async () => {
          const rng = new Rng(seedOf(`ropeAppend ${name}`));
          for (const [i, nTokens] of [1, 2, 7, 8, 9, 33].entries()) {
            const head = HEADS[i] ?? HEADS[0];
            if (!head) continue;
            const test = appendCase(rng, { head, ropeStyle, codec, nTokens, isNormed });
            await checkAppend(engines(), tolerances.rope, bound, rng.seed, test);
          }
        });
      }
    }
  }

  it("more rows than the capacity: throws, appends nothing", async () => {
    const rng = new Rng(seedOf("ropeAppend capacity"));
    const options = { ropeStyle: "half", codec: "f16", nTokens: 3, isNormed: false } as const;
    const test = appendCase(rng, { ...options, head: [32, 1, 2] });
    await onEngine(engines().engine, async (rig) => {
      const rows = rig.rows(test.rows);
      rows.length[1] = (rows.capacity[1] ?? 0) - 2;
      const [qkv, table] = [rig.f32(test.qkv), rig.f32(anyTable(3, 32))];
      const before = Array.from(rows.length);
      expect(() => rig.engine.ropeAppend(qkv, rows, table, test.shape, 40, 3)).toThrow();
      expect(Array.from(rows.length)).toEqual(before);
    });
  });

  it("up to the capacity: works", async () => {
    const rng = new Rng(seedOf("ropeAppend full"));
    const options = { ropeStyle: "half", codec: "f16", nTokens: 4, isNormed: false } as const;
    const test = appendCase(rng, { ...options, head: [32, 1, 1] });
    await onEngine(engines().engine, async (rig) => {
      const rows = rig.rows(test.rows);
      rig.engine.ropeAppend(rig.f32(test.qkv), rows, rig.f32(anyTable(4, 32)), test.shape, 40, 4);
      expect(rows.length[0]).toBe(rows.capacity[0]);
    });
  });
}

async function checkAppend(
  { engine, exact }: Engines,
  bound: number,
  keyBound: number,
  seed: number,
  test: AppendCase,
): Promise<void> {
  const expected = await onEngine(exact, (rig) => runAppend(rig, test));
  const actual = await onEngine(engine, (rig) => runAppend(rig, test));
  expectNmse(actual.queries, expected.queries, bound, seed);
  expectNmse(actual.keys, expected.keys, keyBound, seed);
  expect(actual.values).toEqual(expected.values);
  expect(actual.positions).toEqual(expected.positions);
}

export function gatherContract(
  engines: () => Engines,
  codecs: readonly CodecName[] = ["f32", "f16"],
): void {
  const shape: HeadShape = { nHeads: 3, nKvHeads: 3, headDim: 80 };
  const lengths = [40, 1, 23];

  for (const codec of codecs) {
    it(`${codec} in place: kept rows move to the start of their head (exact)`, async () => {
      const rng = new Rng(seedOf(`gather ${codec}`));
      const host = randomRows(rng, { codec, shape, lengths, nNew: 1, nextPosition: 90 });
      const sizes = [
        [17, 1, 22],
        [40, 1, 23],
        [1, 0, 0],
        [0, 1, 11],
      ];
      for (const counts of sizes) {
        const keep = counts.map((n, head) => rng.subset(lengths[head] ?? 0, n));
        await onEngine(engines().engine, async (rig) => {
          const rows = rig.rows(host);
          rig.engine.gatherRows(rows, rows, keep);
          expect(Array.from(rows.length)).toEqual(counts);
          expect(await rig.readRows(rows)).toEqual(keptRows(host, keep));
        });
      }
    });

    it(`${codec} in place, twice: as one gather of the composed lists (exact)`, async () => {
      const rng = new Rng(seedOf(`gather twice ${codec}`));
      const host = randomRows(rng, { codec, shape, lengths, nNew: 1, nextPosition: 90 });
      const first = [20, 1, 12].map((n, head) => rng.subset(lengths[head] ?? 0, n));
      const second = [7, 1, 12].map((n, head) => rng.subset(first[head]?.length ?? 0, n));
      const both = second.map((list, head) => list.map((row) => first[head]?.[row] ?? 0));
      await onEngine(engines().engine, async (rig) => {
        const rows = rig.rows(host);
        rig.engine.gatherRows(rows, rows, first);
        rig.engine.gatherRows(rows, rows, second);
        expect(await rig.readRows(rows)).toEqual(keptRows(host, both));
      });
    });

    for (const target of codecs) {
      it(`${codec} to ${target}, a smaller layer (exact, ties to even)`, async () => {
        const rng = new Rng(seedOf(`gather ${codec} ${target}`));
        const host = randomRows(rng, { codec, shape, lengths, nNew: 1, nextPosition: 90 });
        const counts = [17, 1, 9];
        const keep = counts.map((n, head) => rng.subset(lengths[head] ?? 0, n));
        const small = { codec: target, shape, lengths: counts, nNew: 1, nextPosition: 20 };
        const empty = { ...randomRows(rng, { ...small, nSpare: 0 }), length: [0, 0, 0] };
        await onEngine(engines().engine, async (rig) => {
          const [dst, src] = [rig.rows(empty), rig.rows(host)];
          rig.engine.gatherRows(dst, src, keep);
          expect(Array.from(dst.length)).toEqual(counts);
          expect(await rig.readRows(dst)).toEqual(keptRows(host, keep, target));
          // The source stays as it was.
          expect(Array.from(src.length)).toEqual(lengths);
          const all = lengths.map((n) => Uint32Array.from({ length: n }, (_, i) => i));
          expect(await rig.readRows(src)).toEqual(keptRows(host, all));
        });
      });
    }
  }

  it("f32 to f16: ties, subnormals, what is too large becomes 65504 (exact)", () =>
    checkRounding(engines().engine));
}

async function checkRounding(engine: Engine): Promise<void> {
  const steps = [1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** -14];
  const more = [65504, 65519, 65520, 1e-30, 0, -0, 1e38, 2 ** -14 - 2 ** -26, 2047.5];
  const halves = [1, 1, 1 + 2 ** -9, 2 ** -24, 0, 2 ** -23, 2 ** -14];
  const rest = [65504, 65504, 65504, 0, 0, -0, 65504, 2 ** -14, 2048];
  const [plain, expected] = [
    [...steps, ...more],
    [...halves, ...rest],
  ];
  const keys = Float32Array.from([...plain, ...plain.map((value) => -value)]);
  const layer = { headDim: 32, length: [1], capacity: [1], keys, values: keys };
  const host: HostRows = { ...layer, codec: "f32", positions: Uint32Array.of(3) };
  await onEngine(engine, async (rig) => {
    const [dst, src] = [rig.rows({ ...host, codec: "f16", length: [0] }), rig.rows(host)];
    rig.engine.gatherRows(dst, src, [Uint32Array.of(0)]);
    const stored = (await rig.readRows(dst)).keys;
    expect(Array.from(stored)).toEqual([...expected, ...expected.map((value) => -value)]);
  });
}

/** What `readRows` must give after the gather. */
function keptRows(
  host: HostRows,
  keep: readonly Uint32Array[],
  codec: CodecName = host.codec,
): { keys: Float32Array; values: Float32Array; positions: Float32Array } {
  const { headDim } = host;
  const heads = keep.map((list, head) => ({ list, ...hostHead(host, head) }));
  const pick = (of: "keys" | "values"): Float32Array => {
    const kept = heads.flatMap((head) =>
      Array.from(head.list, (row) =>
        Array.from(head[of].subarray(row * headDim, (row + 1) * headDim)),
      ).flat(),
    );
    return decodeRows(codec, encodeRows(codec, Float32Array.from(kept), headDim), headDim);
  };
  const positions = heads.flatMap((head) =>
    Array.from(head.list, (row) => head.positions[row] ?? 0),
  );
  return { keys: pick("keys"), values: pick("values"), positions: Float32Array.from(positions) };
}

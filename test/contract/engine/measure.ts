// Contract, part 6: what methods ask for beside attention, against the definitions in f64.
import { describe, expect, it } from "vitest";
import type { CodecName, Engine, RopeShape } from "../../../src/engine/engine.ts";
import { maxAbs, nmse } from "../../support/matchers.ts";
import { naiveRope } from "../../support/naive.ts";
import { hostHead, randomRows } from "../../support/random-rows.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import { bytesOf, type Engines, expectBits, type HostRows, onEngine, type Rig } from "../rig.ts";
import { attentionCase, type AttentionCase } from "./attention.ts";

const CODECS: readonly CodecName[] = ["f32", "f16"];
const STYLES = ["interleaved", "half"] as const;

/** `key` turned by `by` positions, by the definition. */
function turned(
  key: ArrayLike<number>,
  by: number,
  base: number,
  style: (typeof STYLES)[number],
): Float64Array {
  return naiveRope(key, by, (pair) => Math.fround(base ** ((-2 * pair) / key.length)), style);
}

export function measureContract(engines: () => Engines): void {
  const engine = (): Engine => engines().engine;
  describe("measureWindow, in parts", () => sumsContract(engine));
  describe("measureQueries", () => queriesContract(engine));
  describe("measureOutputs", () => outputsContract(engine));
  describe("rotateRows", () => rotateContract(engine));
}

/** The queries `begin .. end` of a case when only the rows up to theirs exist. */
function measurePart(
  rig: Rig,
  test: AttentionCase,
  out: ReturnType<Rig["space"]>,
  [begin, end]: readonly [number, number],
  stride: number,
): void {
  const { shape, rows: host, qkv, firstPosition, nQueries } = test;
  const rows = rig.rows(host);
  rows.length.forEach((length, head) => (rows.length[head] = length - (nQueries - end)));
  const columns = (shape.nHeads + 2 * shape.nKvHeads) * shape.headDim;
  const queries = rig.f32(qkv.slice(begin * columns, end * columns));
  const layout = { stride, isAdded: begin > 0 };
  rig.engine.measureWindow(out, queries, rows, shape, firstPosition + begin, end - begin, layout);
}

function sumsContract(engine: () => Engine): void {
  it("chunk by chunk as at once, whatever the stride (same bits)", async () => {
    const rng = new Rng(seedOf("column sums"));
    for (const options of [
      { nQueries: 40, lengths: [40, 40, 40] },
      { nQueries: 70, lengths: [90, 133, 70], window: 50 },
      { nQueries: 9, lengths: [200, 9], codec: "f32" as const, nGroups: 1 },
    ]) {
      const test = attentionCase(rng, options);
      const { nHeads } = test.shape;
      const longest = Math.max(...test.rows.length);
      const n = options.nQueries;
      const whole = await onEngine(engine(), async (rig) => {
        const out = rig.space(nHeads * longest);
        measurePart(rig, test, out, [0, n], longest);
        return rig.readF32(out);
      });
      const stride = longest + 3;
      const parts = await onEngine(engine(), async (rig) => {
        const out = rig.space(nHeads * stride);
        let begin = 0;
        for (const end of [1, 6, n]) {
          measurePart(rig, test, out, [begin, end], stride);
          begin = end;
        }
        return rig.readF32(out);
      });
      for (let head = 0; head < nHeads; head++) {
        const one = parts.slice(head * stride, head * stride + longest);
        expectBits(one, whole.slice(head * longest, (head + 1) * longest), `head ${head}`);
        expect([...parts.slice(head * stride + longest, (head + 1) * stride)]).toEqual([0, 0, 0]);
      }
    }
  });

  it("equal scores over 5 tokens: 2.28333 1.28333 0.78333 0.45 0.2 (1e-6)", async () => {
    const rng = new Rng(seedOf("uniform sums"));
    const test = attentionCase(rng, { nQueries: 5, lengths: [5], nGroups: 1, scale: 0 });
    const sums = await onEngine(engine(), async (rig) => {
      const out = rig.space(5);
      measurePart(rig, test, out, [0, 5], 5);
      return rig.readF32(out);
    });
    const expected = [2.2833333, 1.2833333, 0.7833333, 0.45, 0.2];
    expect(maxAbs(sums, expected)).toBeLessThanOrEqual(1e-6);
  });
}

function queriesContract(engine: () => Engine): void {
  for (const ropeStyle of STYLES) {
    it(`${ropeStyle}: sums and products before rotation (NMSE <= 1e-12), in parts the same bits`, async () => {
      const rng = new Rng(seedOf(`queries ${ropeStyle}`));
      for (const [headDim, nHeads, nKvHeads, n] of [
        [32, 3, 1, 7],
        [64, 4, 2, 130],
        [80, 2, 2, 1],
      ] as const) {
        const shape: RopeShape = { nHeads, nKvHeads, headDim, ropeStyle };
        const columns = (nHeads + 2 * nKvHeads) * headDim;
        const raw = rng.normals(n * columns, 2).map((x) => x + 5);
        const base = 500;
        const rotated = Float32Array.from(raw);
        for (let at = 0; at < raw.length; at += headDim) {
          const position = 1000 + Math.floor(at / columns);
          rotated.set(turned(raw.subarray(at, at + headDim), position, base, ropeStyle), at);
        }
        const measure = (splits: readonly number[]): Promise<Float64Array> =>
          onEngine(engine(), async (rig) => {
            const size = nHeads * headDim * (1 + headDim);
            const sums = rig.bytes(new Uint8Array(8 * size));
            const table = rig.space(n * headDim);
            rig.engine.ropeTable(table, { base, headDim }, 1000, n);
            const queries = rig.f32(rotated);
            let begin = 0;
            for (const end of splits) {
              const part = (from: typeof table, width: number): typeof table =>
                rig.engine.slice(from, 4 * begin * width, 4 * (end - begin) * width);
              const angles = part(table, headDim);
              rig.engine.measureQueries(sums, part(queries, columns), angles, shape, end - begin);
              begin = end;
            }
            return rig.engine.readQuerySums(sums, size);
          });
        const whole = await measure([n]);
        expect(nmse(whole, naiveSums(raw, shape, n))).toBeLessThanOrEqual(1e-12);
        if (n > 1) expect(await measure([1, Math.ceil(n / 2), n])).toEqual(whole);
      }
    });
  }
}

function naiveSums(
  raw: Float32Array,
  { nHeads, nKvHeads, headDim }: RopeShape,
  n: number,
): Float64Array {
  const size = headDim * (1 + headDim);
  const out = new Float64Array(nHeads * size);
  for (let t = 0; t < n; t++) {
    for (let head = 0; head < nHeads; head++) {
      const at = (t * (nHeads + 2 * nKvHeads) + head) * headDim;
      const q = raw.subarray(at, at + headDim);
      q.forEach((x, i) => {
        out[head * size + i] = (out[head * size + i] ?? 0) + x;
        q.forEach((y, j) => {
          const cell = head * size + headDim + i * headDim + j;
          if (j >= i) out[cell] = (out[cell] ?? 0) + x * y;
        });
      });
    }
  }
  return out;
}

export function outputsContract(engine: () => Engine, codecs = CODECS): void {
  for (const codec of codecs) {
    it(`${codec}: L1 norms of projected values per query head, 0 past the end (NMSE <= 1e-11)`, async () => {
      const rng = new Rng(seedOf(`outputs ${codec}`));
      const lengths = [70, 1, 129];
      const shape = { nHeads: 6, nKvHeads: 3, headDim: 64 };
      const host = randomRows(rng, { codec, shape, lengths, nNew: 1, nextPosition: 200 });
      const [nWeights, nCols] = [70, 6 * 64];
      const matrix = rng.normals(nWeights * nCols);
      const norms = await onEngine(engine(), async (rig) => {
        const out = rig.space(6 * 129);
        const weight = rig.weight("F32", nWeights, nCols, bytesOf(matrix));
        rig.engine.measureOutputs(out, rig.rows(host), weight, shape);
        return rig.readF32(out);
      });
      const expected = new Float64Array(6 * 129);
      for (let head = 0; head < 6; head++) {
        const { values } = hostHead(host, head >> 1);
        for (let row = 0; row < values.length / 64; row++) {
          let total = 0;
          for (let w = 0; w < nWeights; w++) {
            let dot = 0;
            for (let i = 0; i < 64; i++) {
              dot += (matrix[w * nCols + head * 64 + i] ?? NaN) * (values[row * 64 + i] ?? NaN);
            }
            total += Math.abs(dot);
          }
          expected[head * 129 + row] = total;
        }
      }
      expect(nmse(norms, expected)).toBeLessThanOrEqual(1e-11);
    });
  }
}

interface Rotation {
  readonly host: HostRows;
  readonly ropeStyle: (typeof STYLES)[number];
}

const BASE = 10000;

function rotate(rig: Rig, test: Rotation, steps: readonly (readonly Uint32Array[])[]) {
  const rows = rig.rows(test.host);
  const { headDim } = test.host;
  for (const targets of steps) {
    rig.engine.rotateRows(rows, targets, { base: BASE, headDim }, test.ropeStyle);
  }
  return rig.readRows(rows);
}

export function rotateContract(engine: () => Engine, codecs = CODECS): void {
  const lengths = [20, 1, 9];
  const shape = { nHeads: 3, nKvHeads: 3, headDim: 64 };
  for (const ropeStyle of STYLES) {
    for (const codec of codecs) {
      // A code of q8 is worth 1/127 of its row's largest, which is at most 4 here: half of it.
      const bound = { f32: 1e-5, f16: 4e-3, q8: 0.02 }[codec];
      it(`${ropeStyle}, ${codec}: rows lie where their targets are (${bound}), values untouched`, async () => {
        const rng = new Rng(seedOf(`rotate ${ropeStyle} ${codec}`));
        const host = randomRows(rng, { codec, shape, lengths, nNew: 1, nextPosition: 90_000 });
        const test = { host, ropeStyle };
        const targets = lengths.map((n) =>
          Uint32Array.from({ length: n }, (_, i) => 90_000 - n + i),
        );
        const before = await onEngine(engine(), (rig) => rotate(rig, test, []));
        const after = await onEngine(engine(), (rig) => rotate(rig, test, [targets]));
        const all = targets.flatMap((list) => [...list]);
        const expected = all.flatMap((target, i) => {
          const key = before.keys.subarray(i * 64, (i + 1) * 64);
          return [...turned(key, target - (before.positions[i] ?? 0), BASE, ropeStyle)];
        });
        expect(maxAbs(after.keys, expected)).toBeLessThanOrEqual(bound);
        expect([...after.positions]).toEqual(all);
        expect(after.values).toEqual(before.values);
        // Heads' newest rows do not move: the same bits.
        expect(after.keys.slice(19 * 64, 20 * 64)).toEqual(before.keys.slice(19 * 64, 20 * 64));
      });
    }
  }

  it("by d, then by -d: what it was; twice as at once (f32, 1e-5)", async () => {
    const rng = new Rng(seedOf("rotate there and back"));
    const options = { codec: "f32", shape, lengths, nNew: 1, nextPosition: 500 } as const;
    const test: Rotation = { host: randomRows(rng, options), ropeStyle: "half" };
    const home = lengths.map((_, head) => hostHead(test.host, head).positions.slice());
    const [away, far] = [777, 12_345].map((d) => home.map((list) => list.map((p) => p + d)));
    if (away === undefined || far === undefined) throw new Error("two distances");
    const run = (steps: Uint32Array[][]) => onEngine(engine(), (rig) => rotate(rig, test, steps));
    const before = await run([]);
    const back = await run([away, home]);
    expect(maxAbs(back.keys, before.keys)).toBeLessThanOrEqual(1e-5);
    expect(back.positions).toEqual(before.positions);
    const once = await run([far]);
    expect(maxAbs((await run([away, far])).keys, once.keys)).toBeLessThanOrEqual(1e-5);
  });

  it("(1, 0) of angle 1 from 7 to 2 is (-0.416147, 0.909297) at 2 (1e-6)", async () => {
    // The pair was rotated to 7 before; at 2 it must be as if rotated there at once.
    const key = new Float32Array(32);
    [key[0], key[1]] = [Math.cos(7), Math.sin(7)];
    const layer = { codec: "f32", headDim: 32, length: [1], capacity: [1] } as const;
    const host: HostRows = { ...layer, keys: key, values: key, positions: Uint32Array.of(7) };
    const test: Rotation = { host, ropeStyle: "interleaved" };
    const { keys } = await onEngine(engine(), (rig) => rotate(rig, test, [[Uint32Array.of(2)]]));
    expect(maxAbs(keys.subarray(0, 2), [-0.416147, 0.909297])).toBeLessThanOrEqual(1e-6);
  });
}

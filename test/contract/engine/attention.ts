// Contract, part 3: attend and measureWindow over rows that the case writes itself.
import { describe, expect, it } from "vitest";
import type { AttendShape, CodecName } from "../../../src/engine/engine.ts";
import { randomRows, type RowsOptions } from "../../support/random-rows.ts";
import { Rng, seedOf } from "../../support/rng.ts";
import {
  expectBits,
  expectNmse,
  expectSame,
  onEngine,
  type Engines,
  type HostRows,
  type Rig,
  type Tolerances,
} from "../rig.ts";

export interface AttentionCase {
  readonly shape: AttendShape;
  readonly rows: HostRows;
  /** f32[nQueries, nHeads + 2 nKvHeads, headDim]; only the q heads matter. */
  readonly qkv: Float32Array;
  readonly firstPosition: number;
  readonly nQueries: number;
}

export interface CaseOptions {
  readonly headDim?: number;
  readonly nGroups?: number;
  readonly codec?: CodecName;
  readonly window?: number;
  readonly nQueries: number;
  /** Rows of each kv head, new ones included. */
  readonly lengths: readonly number[];
  readonly scale?: number;
  readonly deviation?: number;
}

export function attentionCase(rng: Rng, options: CaseOptions): AttentionCase {
  const { headDim = 64, nGroups = 3, codec = "f16", window = 0, nQueries, lengths } = options;
  const { scale = 1 / Math.sqrt(headDim), deviation = 1 } = options;
  const nKvHeads = lengths.length;
  const shape = { nHeads: nKvHeads * nGroups, nKvHeads, headDim, scale, window };
  const nextPosition = 2 * Math.max(nQueries, ...lengths) + 5;
  const settings: RowsOptions = {
    ...{ codec, shape, lengths, nNew: nQueries, nextPosition, deviation },
  };
  return {
    shape,
    rows: randomRows(rng, settings),
    qkv: rng.normals(nQueries * (shape.nHeads + 2 * nKvHeads) * headDim),
    firstPosition: nextPosition - nQueries,
    nQueries,
  };
}

export async function runAttend(rig: Rig, test: AttentionCase): Promise<Float32Array> {
  const { shape, rows, qkv, firstPosition, nQueries } = test;
  const out = rig.space(nQueries * shape.nHeads * shape.headDim);
  rig.engine.attend(out, rig.f32(qkv), rig.rows(rows), shape, firstPosition, nQueries);
  return rig.readF32(out);
}

export async function runWindow(rig: Rig, test: AttentionCase): Promise<Float32Array> {
  const { shape, rows, qkv, firstPosition, nQueries } = test;
  const out = rig.space(shape.nHeads * Math.max(...rows.length));
  rig.engine.measureWindow(out, rig.f32(qkv), rig.rows(rows), shape, firstPosition, nQueries);
  return rig.readF32(out);
}

/** The case in parts of queries that end at `ends`: [attention, column sums]. */
export async function runSums(
  rig: Rig,
  { shape, rows: host, qkv, firstPosition, nQueries }: AttentionCase,
  ends: readonly number[],
  isApart: boolean,
): Promise<[Float32Array, Float32Array]> {
  const { engine } = rig;
  const width = shape.nHeads * shape.headDim;
  const stride = Math.max(...host.length) + 5;
  const [out, sums] = [rig.space(nQueries * width), rig.space(shape.nHeads * stride)];
  const rows = rig.rows(host);
  const queries = rig.f32(qkv);
  const columns = qkv.length / nQueries;
  let begin = 0;
  for (const end of ends) {
    const n = end - begin;
    rows.length.forEach((_, h) => (rows.length[h] = (host.length[h] ?? 0) - (nQueries - end)));
    const q = engine.slice(queries, 4 * begin * columns, 4 * n * columns);
    const to = engine.slice(out, 4 * begin * width, 4 * n * width);
    const layout = { stride, isAdded: begin > 0 };
    const attended = [to, q, rows, shape, firstPosition + begin, n] as const;
    if (!isApart && engine.attendAndSum) engine.attendAndSum(...attended, sums, layout);
    else {
      engine.attend(...attended);
      engine.measureWindow(sums, q, rows, shape, firstPosition + begin, n, layout);
    }
    begin = end;
  }
  return [await rig.readF32(out), await rig.readF32(sums)];
}

/** Cases by name; every one is run through both ops. `isPrefix`: more queries than rows. */
export const ATTENTION_CASES: readonly (readonly [name: string, options: CaseOptions])[] = [
  ...[32, 64, 80, 96, 128, 256].flatMap((headDim, i) =>
    [1, 3, 8].map((nGroups, k) => {
      const nQueries = [1, 2, 9, 7][(i + k) % 4] ?? 1;
      const codec: CodecName = (i + k) % 2 === 0 ? "f16" : "f32";
      const lengths = [nQueries, nQueries + 29, nQueries + 4].slice(0, 1 + (i % 3));
      const name = `headDim ${headDim}, nGroups ${nGroups}, ${nQueries} queries, ${codec}`;
      return [name, { headDim, nGroups, nQueries, codec, lengths }] as const;
    }),
  ),
  ...(["f32", "f16"] as const).flatMap((codec) =>
    [1, 2, 7, 8, 9, 33].map((nQueries) => {
      const lengths = [nQueries + 70, nQueries, nQueries + 1];
      return [`${nQueries} queries, ragged, ${codec}`, { codec, nQueries, lengths }] as const;
    }),
  ),
  ...[1, 4, 16, 1000].map((window) => {
    const lengths = [50, 17, 12];
    return [`window ${window}, ragged`, { window, nQueries: 9, lengths }] as const;
  }),
  ["lengths 4032 and 2048", { nQueries: 3, lengths: [4032, 2048], nGroups: 1, headDim: 32 }],
  ["one row", { nQueries: 1, lengths: [1, 1] }],
  ["lengths 127, 128, 129 and 300", { nQueries: 1, lengths: [127, 128, 129, 300], nGroups: 1 }],
  ["lengths 1100 and 40, one query", { nQueries: 1, lengths: [1100, 40], nGroups: 1, headDim: 32 }],
  ["scores in the thousands", { nQueries: 3, lengths: [40, 9], scale: 40, codec: "f32" }],
  ["scale 0, all rows alike", { nQueries: 3, lengths: [40, 9], scale: 0 }],
  ["values of 1e4", { nQueries: 3, lengths: [40, 9], deviation: 1e4, scale: 1e-5 }],
];

const MORE_QUERIES: readonly (readonly [name: string, options: CaseOptions])[] = [
  ["more queries than rows in some heads", { nQueries: 16, lengths: [40, 9, 1] }],
  ["more queries than rows, window", { nQueries: 16, lengths: [9, 30], window: 5 }],
];

export function attentionContract(engines: () => Engines, tolerances: Tolerances): void {
  describe("attend", () => {
    for (const [name, options] of ATTENTION_CASES) {
      it(`${name} (NMSE <= ${tolerances.attend})`, async () => {
        const rng = new Rng(seedOf(`attend ${name}`));
        const test = attentionCase(rng, options);
        const { engine, exact } = engines();
        await expectSame(engine, exact, tolerances.attend, rng.seed, (rig) => runAttend(rig, test));
      });
    }
  });

  describe("measureWindow", () => {
    for (const [name, options] of [...ATTENTION_CASES, ...MORE_QUERIES]) {
      it(`${name} (NMSE <= ${tolerances.window})`, async () => {
        const rng = new Rng(seedOf(`measureWindow ${name}`));
        const test = attentionCase(rng, options);
        const { engine, exact } = engines();
        await expectSame(engine, exact, tolerances.window, rng.seed, (rig) => runWindow(rig, test));
      });
    }

    it("cells past a head's length are 0; a head's sum is the queries that see a row (1e-4)", async () => {
      const rng = new Rng(seedOf("measureWindow sums"));
      const test = attentionCase(rng, { nQueries: 6, lengths: [20, 3, 11], nGroups: 3 });
      const out = await onEngine(engines().engine, (rig) => runWindow(rig, test));
      for (let head = 0; head < 9; head++) {
        const length = [20, 3, 11][Math.floor(head / 3)] ?? 0;
        const cells = Array.from(out.subarray(head * 20, (head + 1) * 20));
        expect(cells.slice(length).every((cell) => cell === 0)).toBe(true);
        const sum = cells.reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - Math.min(6, length)), `seed ${rng.seed}`).toBeLessThanOrEqual(1e-4);
      }
    });
  });

  describe("attendAndSum, or attend and measureWindow where there is none", () => {
    const wide = { nQueries: 70, lengths: [900, 70, 133] };
    for (const [name, options] of [...ATTENTION_CASES, ["70 queries", wide] as const]) {
      it(`${name}: attention's bits, sums as measured apart (NMSE <= ${tolerances.window}), also in parts`, async () => {
        const rng = new Rng(seedOf(`attendAndSum ${name}`));
        const test = attentionCase(rng, options);
        const n = options.nQueries;
        const { engine, exact } = engines();
        const [out, sums] = await onEngine(engine, (rig) => runSums(rig, test, [n], false));
        const plain = await onEngine(engine, (rig) => runAttend(rig, test));
        expectBits(out, plain, "attention");
        const [, expected] = await onEngine(exact, (rig) => runSums(rig, test, [n], true));
        expectNmse(sums, expected, tolerances.window, rng.seed);
        const ends = [...new Set([Math.ceil(n / 3), Math.ceil(n / 2), n])];
        const parts = await onEngine(engine, (rig) => runSums(rig, test, ends, false));
        // One token and many go through different kernels there.
        if (engine.name !== "webgpu") expectBits(parts[0], plain, "attention in parts");
        expectBits(parts[1], sums, "sums in parts");
      });
    }
  });
}

import { describe, expect, it } from "vitest";
import { KvCache, type KvCacheOptions } from "../../../src/cache/kv-cache.ts";
import type { CodecName, Engine } from "../../../src/engine/engine.ts";
import { createReferenceEngine } from "../../../src/engine/reference/engine.ts";
import { appendRows, readRows } from "../../support/cache-rows.ts";
import { Rng } from "../../support/rng.ts";

const N_LAYERS = 3;
const N_KV_HEADS = 2;
const HEAD_DIM = 8;
const HEADROOM = 4;
const CODECS = ["f32", "f16", "q8"] as const;

const vectorBytes = { f32: 4 * HEAD_DIM, f16: 2 * HEAD_DIM, q8: HEAD_DIM + 4 };
const bytesPerRow = (codec: CodecName) => 2 * vectorBytes[codec] + 4;

function setUp(options: Partial<KvCacheOptions> = {}, engine: Engine = createReferenceEngine()) {
  const cache = new KvCache(engine, {
    nLayers: N_LAYERS,
    nKvHeads: N_KV_HEADS,
    headDim: HEAD_DIM,
    codec: "f32",
    headroom: HEADROOM,
    ...options,
  });
  return { engine, cache };
}

/** One prompt through all layers; `keep` gives the keep lists of a layer, null for no staging. */
function prefill(
  { engine, cache }: { engine: Engine; cache: KvCache },
  nTokens: number,
  rng: Rng,
  keep: (l: number, length: Uint32Array) => Uint32Array[] | null = () => null,
) {
  for (let l = 0; l < cache.nLayers; l++) {
    const wanted = keep(
      l,
      cache.layer(l).length.map((n) => n + nTokens),
    );
    const rows = cache.openLayer(l, nTokens, { compress: wanted !== null });
    appendRows(engine, rows, cache.seen, nTokens, rng);
    cache.closeLayer(l, wanted);
  }
  cache.advance(nTokens);
  cache.releaseStaging();
}

const randomKeep = (rng: Rng) => (_: number, length: Uint32Array) =>
  Array.from(length, (n) => rng.subset(n, rng.integer(1, n + 1)));

async function content(engine: Engine, cache: KvCache) {
  return Promise.all(
    Array.from({ length: cache.nLayers }, (_, l) => readRows(engine, cache.layer(l))),
  );
}

function expectExact({ engine, cache }: { engine: Engine; cache: KvCache }) {
  expect(cache.usage().bytes).toBe(engine.memory().bytes);
}

describe("KvCache, storing", () => {
  it.each(CODECS)("%s: bytes are capacity times the row's bytes, layer by layer", (codec) => {
    const rig = setUp({ codec });
    prefill(rig, 10, new Rng(1), (l) =>
      l === 1 ? [Uint32Array.of(0, 9), Uint32Array.of(9)] : null,
    );
    const usage = rig.cache.usage();
    const row = bytesPerRow(codec);
    expect(usage.perLayer.map(({ bytes }) => bytes)).toEqual([
      2 * (10 + HEADROOM) * row,
      (2 + 1 + 2 * HEADROOM) * row,
      2 * (10 + HEADROOM) * row,
    ]);
    expect(usage.perLayer.map(({ rows }) => rows)).toEqual([
      [10, 10],
      [2, 1],
      [10, 10],
    ]);
    expect(usage.keptRows).toBe(43);
    expect(usage.fullRows).toBe(60);
    expect(usage.fullBytes).toBe((60 + 6 * HEADROOM) * row);
    expectExact(rig);
  });

  it("counts staging, one layer's worth for all layers, and the peak", () => {
    const rig = setUp();
    prefill(rig, 20, new Rng(2), () => [Uint32Array.of(19), Uint32Array.of(3, 19)]);
    const layer = (3 + 2 * HEADROOM) * bytesPerRow("f32");
    expect(rig.cache.usage().bytes).toBe(N_LAYERS * layer);
    expect(rig.cache.usage().peakBytes).toBe(N_LAYERS * layer + 40 * bytesPerRow("f32"));
  });

  it.each(CODECS)("%s: staged and unstaged layers hold the same rows", async (codec) => {
    const [staged, plain] = [setUp({ codec }), setUp({ codec })];
    const all = (_: number, length: Uint32Array) =>
      Array.from(length, (n) => Uint32Array.from({ length: n }, (__, row) => row));
    prefill(staged, 7, new Rng(3), all);
    prefill(plain, 7, new Rng(3));
    expect(await content(staged.engine, staged.cache)).toEqual(
      await content(plain.engine, plain.cache),
    );
  });

  it.each(CODECS)(
    "%s: random ragged keeps keep exactly those rows and positions",
    async (codec) => {
      for (let seed = 0; seed < 10; seed++) {
        const [rig, plain] = [setUp({ codec }), setUp({ codec })];
        const rng = new Rng(seed);
        const lists: Uint32Array[][] = [];
        prefill(rig, 30, new Rng(seed), (l, length) => (lists[l] = randomKeep(rng)(l, length)));
        prefill(plain, 30, new Rng(seed));
        const full = await content(plain.engine, plain.cache);
        const expected = full.map((layer, l) =>
          layer.map((head, h) => ({
            positions: Array.from(lists[l]?.[h] ?? [], (row) => head.positions[row]),
            rows: Array.from(lists[l]?.[h] ?? [], (row) => head.rows[row]),
          })),
        );
        expect(await content(rig.engine, rig.cache), `seed ${seed}`).toEqual(expected);
        expectExact(rig);
      }
    },
  );

  it("knows on the host the positions that the engine holds", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const rig = setUp();
      const rng = new Rng(seed);
      for (let turn = 0; turn < 4; turn++) {
        prefill(rig, rng.integer(1, 12), rng, turn % 2 === 0 ? randomKeep(rng) : undefined);
        if (turn > 0) rig.cache.truncate(rig.cache.seen - rng.integer(0, 3));
        rig.cache.reserve(3);
        for (let l = 0; l < N_LAYERS; l++)
          appendRows(rig.engine, rig.cache.layer(l), rig.cache.seen, 3, rng);
        rig.cache.advance(3);
        for (let l = 0; l < N_LAYERS; l++) {
          const held = await rig.cache.keptPositions(l);
          expect(rig.cache.knownPositions(l), `seed ${seed} turn ${turn}`).toEqual(held);
        }
      }
    }
  });
});

describe("KvCache, growing and shrinking", () => {
  it("keeps the layer objects and their arrays over every change of buffers", () => {
    const rig = setUp();
    const before = Array.from({ length: N_LAYERS }, (_, l) => rig.cache.layer(l));
    const arrays = before.map(({ start, length, capacity }) => [start, length, capacity]);
    prefill(rig, 12, new Rng(1), () => [Uint32Array.of(11), Uint32Array.of(11)]);
    rig.cache.reserve(100);
    rig.cache.compact(0, [Uint32Array.of(0), Uint32Array.of(0)]);
    const after = Array.from({ length: N_LAYERS }, (_, l) => rig.cache.layer(l));
    after.forEach((layer, l) => expect(layer).toBe(before[l]));
    after.forEach(({ start, length, capacity }, l) => {
      [start, length, capacity].forEach((array, i) => expect(array).toBe(arrays[l]?.[i]));
    });
  });

  it("reserve grows once, keeps the rows, and does nothing while there is room", async () => {
    const rig = setUp();
    prefill(rig, 9, new Rng(4), (l) =>
      l === 0 ? [Uint32Array.of(1, 8), Uint32Array.of(8)] : null,
    );
    const before = await content(rig.engine, rig.cache);
    rig.cache.reserve(50);
    expect(rig.cache.layer(0).capacity).toEqual(Uint32Array.of(52, 51));
    const bytes = rig.engine.memory().bytes;
    rig.cache.reserve(50);
    expect(rig.engine.memory().bytes).toBe(bytes);
    expect(await content(rig.engine, rig.cache)).toEqual(before);
    expectExact(rig);
  });

  it("reserve of one row more than there is adds the whole headroom", () => {
    const rig = setUp();
    prefill(rig, 5, new Rng(4));
    for (let l = 0; l < N_LAYERS; l++)
      appendRows(rig.engine, rig.cache.layer(l), 5, HEADROOM, new Rng(1));
    rig.cache.advance(HEADROOM);
    rig.cache.reserve(1);
    expect(rig.cache.layer(0).capacity).toEqual(Uint32Array.of(9 + HEADROOM, 9 + HEADROOM));
  });

  it("compact frees memory when more than a page would lie idle, else works in place", async () => {
    const rig = setUp();
    prefill(rig, 200, new Rng(5));
    const first = (n: number) => Uint32Array.from({ length: n }, (_, row) => row);
    rig.cache.compact(0, [first(180), first(190)]);
    expect(rig.cache.layer(0).capacity).toEqual(Uint32Array.of(204, 204));
    rig.cache.compact(0, [Uint32Array.of(3, 150), Uint32Array.of(7)]);
    expect(rig.cache.layer(0).capacity).toEqual(Uint32Array.of(2 + HEADROOM, 1 + HEADROOM));
    expect(await rig.cache.keptPositions(0)).toEqual([Uint32Array.of(3, 150), Uint32Array.of(7)]);
    expectExact(rig);
  });

  it("reset and dispose give back every byte, dispose twice too", () => {
    const rig = setUp();
    prefill(rig, 20, new Rng(6), randomKeep(new Rng(6)));
    rig.cache.openLayer(0, 5, { compress: true });
    rig.cache.reset();
    expect(rig.engine.memory().bytes).toBe(0);
    expect(rig.cache.seen).toBe(0);
    prefill(rig, 20, new Rng(6));
    rig.cache.dispose();
    rig.cache.dispose();
    expect(rig.engine.memory().bytes).toBe(0);
    expect(() => rig.cache.reserve(1)).toThrow(expect.objectContaining({ code: "disposed" }));
  });
});

describe("KvCache, going back", () => {
  it("truncate drops the newest token's rows, and reading it again restores them", async () => {
    const rig = setUp();
    const keep = [Uint32Array.of(0, 2, 9), Uint32Array.of(8, 9)];
    prefill(rig, 10, new Rng(7), () => keep);
    rig.cache.truncate(9);
    expect(rig.cache.seen).toBe(9);
    expect(await rig.cache.keptPositions(0)).toEqual([Uint32Array.of(0, 2), Uint32Array.of(8)]);
    for (let l = 0; l < N_LAYERS; l++) appendRows(rig.engine, rig.cache.layer(l), 9, 1, new Rng(8));
    rig.cache.advance(1);
    expect(await rig.cache.keptPositions(0)).toEqual(keep);
    expect(rig.cache.knownPositions(0)).toEqual(keep);
  });

  it.each(["closed", "staged", "open"])(
    "abandon after a first prompt aborted with a layer %s leaves nothing, not a byte",
    (state) => {
      const rig = setUp();
      const { cache, engine } = rig;
      const rows = cache.openLayer(0, 10, { compress: true });
      appendRows(engine, rows, 0, 10, new Rng(1));
      cache.closeLayer(0, [Uint32Array.of(9), Uint32Array.of(9)]);
      if (state !== "closed") {
        const next = cache.openLayer(1, 10, { compress: state === "staged" });
        appendRows(engine, next, 0, 4, new Rng(1));
      }
      cache.abandon(0);
      expect(cache.usage().keptRows).toBe(0);
      expect(engine.memory().bytes).toBe(0);
    },
  );

  it("abandon in a later prompt brings back every row, also those that compression dropped", async () => {
    for (let seed = 0; seed < 12; seed++) {
      const rng = new Rng(seed);
      const rig = setUp({ codec: seed % 2 === 0 ? "f32" : "f16" });
      const { cache, engine } = rig;
      prefill(rig, 20, rng, randomKeep(rng));
      const before = await content(engine, cache);
      const nReached = rng.integer(0, N_LAYERS + 1);
      for (let l = 0; l < nReached; l++) {
        const compress = rng.integer(0, 2) === 1;
        const rows = cache.openLayer(l, 15, { compress });
        appendRows(engine, rows, 20, rng.integer(1, 16), rng);
        if (l === nReached - 1 && rng.integer(0, 2) === 1) break;
        cache.closeLayer(l, compress ? randomKeep(rng)(l, rows.length) : null);
      }
      cache.abandon(20);
      expect(await content(engine, cache), `seed ${seed}`).toEqual(before);
      expect(cache.seen).toBe(20);
      expectExact(rig);
      cache.dispose();
      expect(engine.memory().bytes).toBe(0);
    }
  });

  it("without canRestore, earlier rows are freed at once and stay dropped", () => {
    const rig = setUp({ canRestore: false, nLayers: 1 });
    prefill(rig, 10, new Rng(1));
    appendRows(rig.engine, rig.cache.openLayer(0, 2, { compress: true }), 10, 2, new Rng(2));
    rig.cache.closeLayer(0, [Uint32Array.of(4, 11), Uint32Array.of(11)]);
    rig.cache.abandon(10);
    expect(rig.cache.knownPositions(0)).toEqual([Uint32Array.of(4), Uint32Array.of()]);
  });
});

describe("KvCache, out of memory", () => {
  const limited = (maxBytes: number) => setUp({}, createReferenceEngine({ maxBytes }));
  const outOfMemory = expect.objectContaining({ code: "out-of-memory" }) as Error;

  it.each([true, false])(
    "openLayer (compress %s) leaves rows and bytes as they were",
    async (compress) => {
      const rig = limited(20_000);
      prefill(rig, 10, new Rng(1));
      const [before, bytes] = [await content(rig.engine, rig.cache), rig.engine.memory().bytes];
      expect(() => rig.cache.openLayer(1, 1000, { compress })).toThrow(outOfMemory);
      expect(await content(rig.engine, rig.cache)).toEqual(before);
      expect(rig.engine.memory().bytes).toBe(bytes);
      expectExact(rig);
      prefill(rig, 3, new Rng(2));
      expect(rig.cache.seen).toBe(13);
    },
  );

  it("reserve leaves all rows as they were", async () => {
    const rig = limited(20_000);
    prefill(rig, 10, new Rng(1));
    const before = await content(rig.engine, rig.cache);
    expect(() => rig.cache.reserve(80)).toThrow(outOfMemory);
    expect(await content(rig.engine, rig.cache)).toEqual(before);
    expectExact(rig);
  });

  it("closeLayer leaves the layer's earlier rows, and abandon works after it", async () => {
    const row = bytesPerRow("f32");
    const rig = limited(3 * 2 * (10 + HEADROOM) * row + 2 * 20 * row + 100);
    prefill(rig, 10, new Rng(1));
    const before = await content(rig.engine, rig.cache);
    appendRows(rig.engine, rig.cache.openLayer(0, 4, { compress: true }), 10, 4, new Rng(2));
    expect(() => rig.cache.closeLayer(0, null)).toThrow(outOfMemory);
    rig.cache.abandon(10);
    expect(await content(rig.engine, rig.cache)).toEqual(before);
    expectExact(rig);
  });

  it("compact in place where the smaller buffers do not fit beside the old ones", async () => {
    const row = bytesPerRow("f32");
    const rig = setUp({ nLayers: 1 }, createReferenceEngine({ maxBytes: 2 * 204 * row + 50_000 }));
    prefill(rig, 200, new Rng(1));
    const filler = rig.engine.alloc(50_000, "filler");
    const keep = [Uint32Array.of(5), Uint32Array.of(5, 6)];
    rig.cache.compact(0, keep);
    expect(await rig.cache.keptPositions(0)).toEqual(keep);
    rig.engine.free(filler);
  });
});

import { describe, expect, it } from "vitest";
import { compose } from "../../../src/compression/compose.ts";
import { defineMethod } from "../../../src/compression/define-method.ts";
import type { Method, Scorer } from "../../../src/compression/method.ts";
import { createMethod } from "../../../src/compression/registry.ts";
import { tokenTopK } from "../../../src/compression/selectors/token-top-k.ts";
import type { Budget } from "../../../src/types.ts";
import {
  HEADROOM,
  kept,
  N_HEADS,
  N_KV_HEADS,
  naiveWindowScores,
  prefill,
  type Rig,
  ROW_BYTES,
  STRIDE,
  setUp,
} from "../../support/compress-rig.ts";

const snapkv = (parameters: Record<string, unknown> = {}) =>
  createMethod("snapkv", { windowSize: 5, ...parameters });

/** Keeps the rows with the highest sum of one signal, all layers in one decision if asked. */
function observed(signal: "window" | "lastRow", scope: "layer" | "model" = "layer"): Method {
  const scorer: Scorer = {
    needs: { prefill: [signal], decode: [], window: 3 },
    score(context) {
      const { sums, nRows, nQueries } = context.signal(signal);
      expect(nQueries).toBe(signal === "window" ? 3 : 1);
      const reduced = context.kernels.groupReduce(sums, N_HEADS, N_HEADS / N_KV_HEADS, "mean");
      const perHead = [0, 1].map((head) => reduced.slice(head * nRows, (head + 1) * nRows));
      return { perHead, nSink: 0, nRecent: 0 };
    },
  };
  const parts = compose({ scorer, selector: tokenTopK });
  const { onPrefillLayer, ...rest } = parts;
  return defineMethod({
    id: "observed",
    create: () =>
      scope === "layer"
        ? parts
        : {
            ...rest,
            scope,
            onPrefillEnd: (contexts) => contexts.flatMap((one) => onPrefillLayer?.(one) ?? []),
          },
  }).create();
}

describe("compressor, layer by layer", () => {
  it("keeps what the attention of the last queries asks for, found independently", async () => {
    const method = snapkv({ kernelSize: 3 });
    const rig = setUp({ method, budget: { tokens: 11 } });
    const plain = setUp({ method: createMethod("full") });
    await prefill(plain, 30);
    await prefill(rig, 30);
    const actual = await kept(rig);
    for (let l = 0; l < rig.nLayers; l++) {
      const scores = await naiveWindowScores(plain, l, 30, 5, 3);
      for (let head = 0; head < N_KV_HEADS; head++) {
        const best = scores[head]
          ?.map((score, row) => ({ score, row }))
          .sort((a, b) => b.score - a.score || a.row - b.row)
          .slice(0, 6)
          .map(({ row }) => row)
          .sort((a, b) => a - b);
        expect(actual[l]?.[head]).toEqual([...(best ?? []), 25, 26, 27, 28, 29]);
      }
    }
  });

  it("chunks of any size give the same rows", async () => {
    const run = async (chunkSize: number) => {
      const rig = setUp({ method: snapkv(), budget: { keep: 0.4 } });
      await prefill(rig, 33, { chunkSize });
      return kept(rig);
    };
    const whole = await run(33);
    expect(whole.flat().every((positions) => positions.length === 13)).toBe(true);
    for (const chunkSize of [1, 7, 16, 32]) expect(await run(chunkSize)).toEqual(whole);
  });

  it("takes the newest of more queries than it wants", async () => {
    for (const method of [snapkv(), observed("lastRow")]) {
      const [wanted, all] = [0, 1].map(() => setUp({ method, budget: { tokens: 10 } })) as [
        Rig,
        Rig,
      ];
      await prefill(wanted, 30);
      await prefill(all, 30, { isAllQueries: true });
      expect(await kept(all)).toEqual(await kept(wanted));
    }
  });

  it("a budget that reaches stages nothing, measures nothing, and keeps all", async () => {
    for (const budget of [{ tokens: 20 }, { keep: 1 }, { bytes: 12 * 24 * ROW_BYTES }]) {
      const rig = setUp({ method: snapkv(), budget });
      rig.compressor.planPrefill(20);
      expect(rig.compressor.stages(0)).toBe(false);
      expect(rig.compressor.wantsQueries(0)).toBe(0);
      expect(rig.engine.memory().bytes).toBe(0);
      await prefill(rig, 20);
      expect((await kept(rig)).flat().every((positions) => positions.length === 20)).toBe(true);
    }
  });

  it.each([0, 1, 2])("reads a prompt of %i tokens", async (nTokens) => {
    const rig = setUp({ method: snapkv(), budget: { keep: 0.1 } });
    await prefill(rig, nTokens);
    const newest = nTokens === 0 ? [] : [nTokens - 1];
    expect((await kept(rig)).flat()).toEqual([newest, newest, newest, newest]);
  });

  it("leaves sliding-window layers alone", async () => {
    const rig = setUp({ method: snapkv(), budget: { tokens: 8 }, windows: [0, 16, 0] });
    await prefill(rig, 30);
    expect(rig.cache.usage().perLayer.map(({ rows }) => rows)).toEqual([
      [8, 8],
      [30, 30],
      [8, 8],
    ]);
  });

  it("leaves alone the layers that the method skips", async () => {
    const method = { ...snapkv(), skips: (layer: number) => layer === 0 };
    const rig = setUp({ method, budget: { tokens: 8 } });
    await prefill(rig, 30);
    expect(rig.cache.usage().perLayer.map(({ rows }) => rows)).toEqual([
      [30, 30],
      [8, 8],
    ]);
  });

  it("forced segments and the newest row stay, and what exceeds the budget is told", async () => {
    const marks = [{ kind: "system", begin: 2, end: 9, isForced: true }] as const;
    const rig = setUp({ method: snapkv({ windowSize: 1 }), budget: { tokens: 6 } });
    await prefill(rig, 30, { marks });
    for (const positions of (await kept(rig)).flat())
      expect(positions).toEqual([2, 3, 4, 5, 6, 7, 8, 29]);
    expect(rig.compressor.report().overflowRows).toBe(2 * N_KV_HEADS * 2);
  });

  it("the next prompt is the same as if it were the first", async () => {
    const [rig, alone] = [0, 1].map(() => setUp({ method: snapkv(), budget: { tokens: 9 } })) as [
      Rig,
      Rig,
    ];
    await prefill(rig, 40, { seed: 3 });
    rig.cache.reset();
    await prefill(rig, 25, { seed: 4 });
    await prefill(alone, 25, { seed: 4 });
    expect(await kept(rig)).toEqual(await kept(alone));
  });

  it("turnPolicy first: a later turn stays whole", async () => {
    const rig = setUp({ method: snapkv(), budget: { tokens: 12 } });
    await prefill(rig, 30);
    const before = rig.compressor.report();
    await prefill(rig, 7, { seed: 2 });
    expect(rig.cache.usage().keptRows).toBe(4 * (12 + 7));
    expect(rig.compressor.report()).toBe(before);
  });

  it("turnPolicy each: a later turn keeps within the budget, earlier rows included", async () => {
    const rig = setUp({ method: snapkv(), budget: { tokens: 12 }, turnPolicy: "each" });
    await prefill(rig, 30);
    await prefill(rig, 7, { seed: 2 });
    expect(rig.cache.usage().perLayer.map(({ rows }) => rows)).toEqual([
      [12, 12],
      [12, 12],
    ]);
    for (const positions of (await kept(rig)).flat()) {
      expect(positions.slice(-5)).toEqual([32, 33, 34, 35, 36]);
    }
  });

  it("gives lastRow and window to methods that name them", async () => {
    for (const signal of ["lastRow", "window"] as const) {
      const rig = setUp({ method: observed(signal), budget: { tokens: 8 } });
      await prefill(rig, 20);
      expect(rig.cache.usage().keptRows).toBe(4 * 8);
    }
  });
});

describe("compressor, memory", () => {
  it("with a budget in bytes the cache never holds more, its signals included", async () => {
    for (let seed = 0; seed < 8; seed++) {
      const nTokens = 60 + seed * 9;
      const signalBytes = N_HEADS * nTokens * 4;
      const stagingBytes = N_KV_HEADS * nTokens * ROW_BYTES;
      const cells = 2 * N_KV_HEADS;
      const queryBytes = 5 * STRIDE * 4; // the window's queries, which prefill.ts holds
      const scratchBytes = signalBytes + stagingBytes + queryBytes;
      const bytes = scratchBytes + cells * (HEADROOM + 7 + seed) * ROW_BYTES + seed;
      const rig = setUp({ method: snapkv(), budget: { bytes } });
      await prefill(rig, nTokens);
      const { peakBytes, keptRows } = rig.cache.usage();
      const heldBytes = peakBytes + signalBytes + queryBytes;
      expect(heldBytes, `seed ${seed}`).toBeLessThanOrEqual(bytes);
      expect(keptRows).toBe(cells * (7 + seed));
    }
  });

  it("refuses bytes that this prompt cannot fit, and is ready for another", async () => {
    const rig = setUp({ method: snapkv(), budget: { bytes: 9000 } });
    expect(() => rig.compressor.planPrefill(500)).toThrow(
      expect.objectContaining({
        code: "bad-option",
        message: expect.stringContaining("got 9000") as string,
      }),
    );
    await prefill(rig, 20);
    expect(rig.cache.usage().bytes).toBeLessThanOrEqual(9000);
  });

  it("finish and release free the signals", async () => {
    const rig = setUp({ method: snapkv(), budget: { tokens: 8 }, turnPolicy: "each" });
    await prefill(rig, 30);
    expect(rig.engine.memory().bytes).toBe(rig.cache.usage().bytes);
    rig.compressor.planPrefill(30);
    expect(rig.engine.memory().bytes).toBeGreaterThan(rig.cache.usage().bytes);
    rig.compressor.release();
    rig.compressor.release();
    expect(rig.engine.memory().bytes).toBe(rig.cache.usage().bytes);
  });
});

describe("compressor, all layers at once", () => {
  it("keeps the full rows until finish, then the same rows as layer by layer", async () => {
    const [byLayer, atEnd] = (["layer", "model"] as const).map((scope) =>
      setUp({ method: observed("window", scope), budget: { tokens: 8 } }),
    ) as [Rig, Rig];
    expect(atEnd.compressor.needsAllLayers).toBe(true);
    await prefill(byLayer, 120);
    await prefill(atEnd, 120);
    expect(await kept(atEnd)).toEqual(await kept(byLayer));
    expect(atEnd.cache.usage().bytes).toBe(byLayer.cache.usage().bytes);
    expect(atEnd.cache.usage().peakBytes).toBeGreaterThan(byLayer.cache.usage().peakBytes);
  });
});

describe("createCompressor", () => {
  const refusal = (method: Method, budget?: Budget) => {
    try {
      setUp({ method, ...(budget && { budget }) });
    } catch (error) {
      return `${(error as { code: string }).code}: ${(error as Error).message}`;
    }
    return "";
  };
  const parts = compose({
    scorer: { needs: { prefill: ["hidden"], decode: [] }, score: () => null as never },
    selector: tokenTopK,
  });

  it("refuses what cannot work, with the reason", () => {
    expect(refusal(snapkv())).toMatch(/^bad-option: .*"snapkv": budget must be given/);
    expect(refusal(snapkv(), { tokens: 5 })).toMatch(/^bad-option: .*>= 6 for this method, got 5/);
    expect(refusal(createMethod("full"), { tokens: 5 })).toMatch(
      /^unsupported-option: .*no budget/,
    );
    expect(refusal(observed("window", "model"), { bytes: 99999 })).toMatch(
      /^unsupported-option: .*bytes/,
    );
    expect(refusal(defineMethod({ id: "h", create: () => parts }).create(), { keep: 0.5 })).toMatch(
      /^unsupported-option: .*hidden/,
    );
    const stepwise = {
      ...snapkv(),
      schedule: { prefill: "end", everySteps: 1, onOverflow: false },
    } as const;
    expect(refusal(stepwise, { keep: 0.5 })).toMatch(/^unsupported-option: /);
    const sharing = { ...snapkv(), layerMap: { storageOf: () => 0 } };
    expect(refusal(sharing, { keep: 0.5 })).toMatch(/^unsupported-option: .*share/);
    const picky = { ...snapkv(), validate: () => [{ what: "wants another model" }] };
    expect(refusal(picky, { keep: 0.5 })).toMatch(/wants another model/);
  });
});

// Methods that score by attention: golden values of methods.md, phases, units, bad options.
import { describe, expect, it } from "vitest";
import { planBudget } from "../../../src/compression/budget.ts";
import { toKeepLists } from "../../../src/compression/keep-lists.ts";
import type { LayerContext, Method, Mutation } from "../../../src/compression/method.ts";
import { createMethod } from "../../../src/compression/registry.ts";
import type { Segment } from "../../../src/compression/segments.ts";
import { inSegments, keptRows, layerContext, modelMeta } from "../../support/layer-context.ts";
import { naiveSelect } from "../../support/naive-select.ts";

const range = (begin: number, end: number) =>
  Array.from({ length: end - begin }, (_, i) => begin + i);

/** One kv head with one query head. */
function oneHead(sums: readonly number[], budget: number, nQueries = 1): LayerContext {
  const setup = { nHeads: 1, nKvHeads: 1, lengths: [sums.length], budget: [budget], nQueries };
  return layerContext({ ...setup, sums: Float32Array.from(sums) });
}

describe("tova", () => {
  it("keeps the same rows for all heads by the mean over all query heads, newest included", () => {
    const sums = Float32Array.of(9, 0, 5, 0, 0, 0, 8, 4, 0, 0);
    const setup = { nHeads: 2, nKvHeads: 2, lengths: [5, 5], budget: [3, 3], sums };
    expect(keptRows(createMethod("tova"), layerContext(setup))).toEqual([
      [0, 2, 4],
      [0, 2, 4],
    ]);
    expect(keptRows(createMethod("tova"), oneHead([9, 8, 7, 0], 1))).toEqual([[3]]);
  });

  it("drops one row a step in decode, or none if asked", () => {
    const method = createMethod("tova");
    expect(method.schedule.everySteps).toBe(1);
    const context = { ...oneHead([3, 1, 2, 0], 3), phase: "decode" as const };
    const state = method.onSequence(context.sequence);
    const [mutation] = method.onDecodeStep?.({ ...context, state }) ?? [];
    expect(mutation).toMatchObject({ kind: "keep", rows: [Uint32Array.of(0, 2, 3)] });
    expect(createMethod("tova", { interval: 0 }).onDecodeStep).toBe(undefined);
  });
});

describe("h2o", () => {
  // Column sums of uniform causal attention over five tokens.
  const columns = [137 / 60, 77 / 60, 47 / 60, 0.45, 0.2];

  it("keeps half of the budget by column sums and half by recency", () => {
    expect(keptRows(createMethod("h2o"), oneHead(columns, 4, 5))).toEqual([[0, 1, 3, 4]]);
    const heavy = createMethod("h2o", { recentShare: 0 });
    expect(keptRows(heavy, oneHead(columns, 4, 5))).toEqual([[0, 1, 2, 4]]);
    expect(keptRows(createMethod("h2o", { recentShare: 1 }), oneHead(columns, 3, 5))).toEqual([
      [2, 3, 4],
    ]);
  });

  it("divides by the queries that saw a row if asked", () => {
    const perQuery = createMethod("h2o", { isPerQuery: true, recentShare: 0 });
    // .3 seen by three queries is .1 each, .25 seen by two .125.
    const context = oneHead([0.4, 0.1, 0.3, 0.25, 0.2], 3, 5);
    expect(keptRows(perQuery, context)).toEqual([[2, 3, 4]]);
    expect(keptRows(createMethod("h2o", { recentShare: 0 }), context)).toEqual([[0, 2, 4]]);
  });

  it("adds up in decode by position, forgets what was evicted", () => {
    const method = createMethod("h2o", { recentShare: 0 });
    const prompt = oneHead([4, 1, 3, 0.5], 3, 4);
    const state = method.onSequence(prompt.sequence);
    const step = (positions: number[], sums: number[]) => {
      const context = oneHead(sums, 3);
      const rows = { ...context.rows, positions: [Uint32Array.from(positions)] };
      const [mutation] = method.onDecodeStep?.({ ...context, phase: "decode", rows, state }) ?? [];
      return (mutation as Extract<Mutation, { kind: "keep" }>).rows.map((list) => [...list]);
    };
    method.onPrefillLayer?.({ ...prompt, state });
    // Rows at 0, 2, 3 are left; sums 4.1, 3, .6 and .3 for the newest.
    expect(step([0, 2, 3, 4], [0.1, 0, 0.1, 0.3])).toEqual([[0, 1, 3]]);
    // 4.1, 3.0, 5.3 and the newest: what was evicted has gone with its sum.
    expect(step([0, 2, 4, 5], [0, 0, 5, 0])).toEqual([[0, 2, 3]]);
    expect(structuredClone(state)).toEqual(state);
  });
});

describe("pyramidkv", () => {
  const plan = (tokens: number, nLayers: number, nRows: number, parameters = {}) =>
    planBudget({
      budget: { tokens },
      nRows,
      nKvHeads: 2,
      evicts: new Array<boolean>(nLayers).fill(true),
      minRows: 1,
      isShared: false,
      cost: { rowBytes: 1, headroom: 0, scratchBytes: 0, growthBytes: 0 },
      allocator: createMethod("pyramidkv", { windowSize: 32, ...parameters }).allocator,
      kernels: naiveSelect,
    }).map((rows) => [...rows]);

  it("spends the mean beyond the window exactly, 187 rows first and 5 last", () => {
    const rows = plan(128, 32, 4096).map(([first = 0]) => first - 32);
    expect(rows.reduce((a, b) => a + b, 0)).toBe(3072);
    expect(rows.slice(0, 3)).toEqual([187, 181, 175]);
    expect(rows.slice(-3)).toEqual([17, 11, 5]);
  });

  it("is snapkv with one layer, uniform at or below the window, whole where all fits", () => {
    expect(plan(64, 1, 500)).toEqual([[64, 64]]);
    expect(plan(20, 3, 500)).toEqual([
      [20, 20],
      [20, 20],
      [20, 20],
    ]);
    expect(plan(500, 2, 400)).toEqual([
      [400, 400],
      [400, 400],
    ]);
  });
});

describe("adakv", () => {
  const sums = Float32Array.of(
    ...[0.3, 0.25, 0.2, 0.05, 0.02, 0.01, 0],
    ...[0.1, 0.08, 0.05, 0.03, 0.02, 0.01, 0],
  );
  const setup = { nHeads: 2, nKvHeads: 2, lengths: [7, 7], budget: [3, 3], sums };
  const kept = (parameters: Record<string, unknown>) =>
    keptRows(
      createMethod("adakv", { windowSize: 1, kernelSize: 1, ...parameters }),
      layerContext(setup),
    );

  it("gives 3 and 1 rows beside the window, no slot lost", () => {
    expect(kept({})).toEqual([
      [0, 1, 2, 6],
      [0, 6],
    ]);
    expect(kept({ alpha: 1 })).toEqual([
      [0, 1, 6],
      [0, 1, 6],
    ]);
    expect(kept({ guarantee: "safe", alpha: 1 })).toEqual(kept({ alpha: 1 }));
    expect(kept({ guarantee: "safe" })).toEqual(kept({}));
  });

  it("stands on any scorer, with that scorer's parameters beside its own", () => {
    const { parameters } = createMethod("adakv", { scorer: "knorm", alpha: 0.5 });
    expect(parameters).toMatchObject({ scorer: "knorm", alpha: 0.5, guarantee: "mixing" });
    expect(parameters).not.toHaveProperty("windowSize");
  });
});

describe("chunkkv", () => {
  // Chunks of six by sums .07 .16 .18 .08; the last has two rows. Then a window of one.
  const rows = range(0, 20).map(
    (i) => [0.07 / 6, 0.16 / 6, 0.18 / 6, 0.04][Math.floor(i / 6)] ?? 0,
  );
  const kept = (budget: number, parameters: Record<string, unknown>) =>
    keptRows(
      createMethod("chunkkv", { windowSize: 1, kernelSize: 1, chunkSize: 6, ...parameters }),
      oneHead([...rows, 0], budget),
    )[0];

  it("fills the budget exactly, or whole chunks only", () => {
    expect(kept(9, {})).toEqual([...range(12, 20), 20]);
    expect(kept(10, {})).toEqual([6, ...range(12, 20), 20]);
    expect(kept(9, { fill: "floor" })).toEqual([...range(12, 18), 20]);
    expect(kept(4, { fill: "floor" })).toEqual([...range(12, 15), 20]);
    expect(kept(9, { aggregation: "mean" })).toEqual([...range(12, 20), 20]);
    expect(kept(3, { aggregation: "mean" })).toEqual([18, 19, 20]);
  });

  it("as kvpress does, lets the window compete inside chunks over the whole prompt", () => {
    expect(kept(9, { fill: "kvpress" })).toEqual([...range(12, 18), 18, 19, 20]);
    expect(kept(8, { fill: "kvpress" })).toEqual([18, 19, 20]);
  });

  it("chooses row by row where no whole chunk is left, for all heads by their sum", () => {
    expect(kept(3, { chunkSize: 99 })).toEqual([18, 19, 20]);
    const sums = Float32Array.of(5, 0, 1, 0, 0, 4, 3, 0);
    const setup = { nHeads: 2, nKvHeads: 2, lengths: [4, 4], budget: [3, 3], sums };
    const method = createMethod("chunkkv", { windowSize: 1, kernelSize: 1, chunkSize: 1 });
    expect(keptRows(method, layerContext(setup))).toEqual([
      [0, 1, 3],
      [0, 1, 3],
    ]);
  });

  it("takes over the choice of the first layer of a group if asked", () => {
    expect(createMethod("chunkkv").layerMap).toBe(undefined);
    const method = createMethod("chunkkv", { reuse: 3 });
    expect(range(0, 7).map((layer) => method.layerMap?.keepOf?.(layer))).toEqual([
      0, 0, 0, 3, 3, 3, 6,
    ]);
    const sliding = { ...modelMeta(2, 1, 2), layers: [{ window: 8, rope: { base: 1 } }] };
    expect(method.validate(sliding)[0]?.what).toMatch(/reuse must be 1/);
  });
});

describe("shotkv", () => {
  const alpha = [0.3, 0.1, 0.02, 0.03, 0.02, 0.03, 0.1, 0.12, 0.08, 0.05, 0.05, 0.04, 0.03, 0.03];
  const marks: Segment[] = [
    { kind: "system", begin: 0, end: 2 },
    { kind: "shot", begin: 2, end: 6 },
    { kind: "shot", begin: 6, end: 9 },
    { kind: "shot", begin: 9, end: 12 },
    { kind: "question", begin: 12, end: 14 },
  ];
  const kept = (parameters: Record<string, unknown>, budget = 8, segments = marks) => {
    const context = inSegments(oneHead(alpha, budget, 2), segments);
    return keptRows(createMethod("shotkv", { nSink: 0, ...parameters }), context)[0];
  };

  it("keeps whole shots by mean score beside question and system prompt", () => {
    expect(kept({})).toEqual([0, 1, 6, 7, 8, 12, 13]);
    expect(kept({}, 10)).toEqual([0, 1, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(kept({}, 4)).toEqual([0, 1, 12, 13]);
    expect(kept({}, 3)).toEqual([0, 12, 13]);
  });

  it("skips a shot that does not fit, or stops there", () => {
    const segments = [...marks.slice(0, 2), { kind: "shot", begin: 6, end: 11 } as Segment];
    segments.push({ kind: "shot", begin: 11, end: 12 }, ...marks.slice(4));
    expect(kept({ fill: "skip" }, 7, segments)).toEqual([0, 1, 11, 12, 13]);
    expect(kept({ fill: "stop" }, 7, segments)).toEqual([0, 1, 12, 13]);
  });

  it("forces less if asked", () => {
    // The system prompt is the best unit then.
    expect(kept({ forcesQuestion: false, forcesSystem: false }, 6)).toEqual([0, 1, 6, 7, 8, 13]);
    expect(kept({ nSink: 3 }, 8)).toEqual([0, 1, 2, 6, 7, 8, 12, 13]);
  });

  it("chooses row by row without shots, and says so", () => {
    const method = createMethod("shotkv", { nSink: 1 });
    const context = inSegments(oneHead(alpha, 5, 2), []);
    const state = method.onSequence(context.sequence);
    const [mutation] = method.onPrefillLayer?.({ ...context, state }) ?? [];
    expect(mutation).toMatchObject({ rows: [Uint32Array.of(0, 1, 7, 12, 13)] });
    expect(method.report(state).notes).toEqual(["no shots are marked: rows are chosen one by one"]);
  });

  it("makes one choice for all layers if asked, by summed scores", () => {
    const method = createMethod("shotkv", { nSink: 0, across: "model" });
    expect(method.scope).toBe("model");
    const other = alpha.map((x, i) => (i >= 9 && i < 12 ? 0.5 : x));
    const contexts = [alpha, other].map((sums, layer) => ({
      ...inSegments(oneHead(sums, 8, 2), marks),
      layer,
      state: method.onSequence({ seen: 0, promptLength: 14, segments: [] }),
    }));
    const requests = new Map(contexts.map((context) => [context.layer, context]));
    const lists = toKeepLists(method, method.onPrefillEnd?.(contexts) ?? [], requests);
    for (const layer of [0, 1]) {
      expect([...(lists.get(layer)?.[0] ?? [])]).toEqual([0, 1, 9, 10, 11, 12, 13]);
    }
  });

  it("keeps a share of all that was generated, the prompt frozen", () => {
    const method = createMethod("shotkv", { keepDecode: 0.5 });
    expect(createMethod("shotkv").onDecodeStep).toBe(undefined);
    expect(decoded(method, [9, 9, 1, 5, 2, 3, 0], 3, 4)).toEqual([0, 1, 2, 3, 6]);
    expect(decoded(createMethod("shotkv", { keepDecode: 0 }), [9, 9, 1, 5, 2], 3, 2)).toEqual([
      0, 1, 2, 4,
    ]);
    // Half of 40 generated tokens are 20, however many are left by then.
    const sums = range(0, 24).map((i) => 100 - i);
    expect(decoded(method, sums, 3, 40)).toHaveLength(3 + 20);
  });
});

/** Rows left after a decode step: `nPrompt` rows of the prompt, the others newest last. */
function decoded(method: Method, sums: number[], nPrompt: number, nGenerated: number): number[] {
  const context = oneHead(sums, sums.length);
  const nRows = sums.length - nPrompt;
  const next = nPrompt + nGenerated;
  const positions = Uint32Array.from(sums, (_, row) =>
    row < nPrompt ? row : next - nRows + (row - nPrompt),
  );
  const sequence = { seen: 0, promptLength: nPrompt, segments: [], nGenerated };
  const rows = { ...context.rows, positions: [positions] };
  const state = method.onSequence(sequence);
  const decode = { ...context, phase: "decode" as const, sequence, rows, state };
  const [mutation] = method.onDecodeStep?.(decode) ?? [];
  const list = mutation?.kind === "keep" ? mutation.rows[0] : undefined;
  return [...(list ?? sums.keys())];
}

describe("scope", () => {
  it("freezes the prompt and keeps a window of the answer", () => {
    const method = createMethod("scope", { decodeRows: 3, decodeRecent: 2 });
    expect(decoded(method, [9, 9, 1, 5, 2, 3, 0], 3, 4)).toEqual([0, 1, 2, 3, 5, 6]);
    expect(decoded(method, [9, 9, 1, 5, 2, 3], 3, 3)).toEqual(range(0, 6));
  });
});

describe("dbudgetkv", () => {
  const weights = [0.5, 0.1, 0.05, 0.05, 0.02, 0.03, 0.05, 0.2];
  const kept = (parameters: Record<string, unknown>, budget = 8) =>
    keptRows(createMethod("dbudgetkv", { minRecent: 1, ...parameters }), oneHead(weights, budget));

  it("keeps the first rows and as many of the newest as hold the norm", () => {
    expect(kept({})).toEqual([[0, 1, 2, 3, 7]]);
    expect(kept({ threshold: 0.1 })).toEqual([[0, 1, 7]]);
    expect(kept({ threshold: 0.001 })).toEqual([[0, 1, 2, 3, 5, 6, 7]]);
    expect(kept({ threshold: 0 })).toEqual([range(0, 8)]);
    expect(kept({ threshold: 1 })).toEqual([[0, 7]]);
    expect(kept({ minRecent: 3 })).toEqual([[0, 1, 2, 3, 5, 6, 7]]);
    expect(kept({}, 3)).toEqual([[0, 1, 7]]);
  });

  it("takes the longest head's length for all, or each head's own", () => {
    const sums = Float32Array.of(...weights, ...[9, 0, 0, 0, 0, 0, 0, 1]);
    const setup = { nHeads: 2, nKvHeads: 2, lengths: [8, 8], budget: [8, 8], sums };
    const lengths = (parameters: Record<string, unknown>) =>
      keptRows(createMethod("dbudgetkv", { minRecent: 1, ...parameters }), layerContext(setup)).map(
        ({ length }) => length,
      );
    expect(lengths({})).toEqual([5, 5]);
    expect(lengths({ lengths: "head" })).toEqual([5, 2]);
  });

  it("takes no budget, spares the first layers, reports what it keeps", () => {
    const method = createMethod("dbudgetkv", { minRecent: 1 });
    expect(method.capabilities.budget).toBe("optional");
    expect([0, 1, 2].map((layer) => method.skips?.(layer, modelMeta(1, 1, 3)))).toEqual([
      true,
      true,
      false,
    ]);
    const context = oneHead(weights, 8);
    const state = method.onSequence(context.sequence);
    expect(method.report(state).notes).toEqual([]);
    method.onPrefillLayer?.({ ...context, state });
    expect(method.report(state).notes).toEqual([
      "the norm asks for 5 of 8 rows (62.5 %) in the layers that evict",
    ]);
  });
});

describe("controls", () => {
  it("random keeps other rows for another seed or layer, the same for the same", () => {
    const kept = (seed: number, layer = 0) => {
      const context = { ...oneHead(range(0, 40), 12), layer };
      return keptRows(createMethod("random", { seed, nSink: 2 }), context)[0];
    };
    expect(kept(1)).toEqual(kept(1));
    expect(kept(1)).not.toEqual(kept(2));
    expect(kept(1)).not.toEqual(kept(1, 1));
    expect(kept(1)?.slice(0, 2)).toEqual([0, 1]);
    expect(kept(1)?.at(-1)).toBe(39);
  });

  it("random-shot keeps whole shots, the same in all layers, every shot for some seed", () => {
    const marks = range(0, 6).map((i): Segment => ({ kind: "shot", begin: 4 * i, end: 4 * i + 4 }));
    const kept = (seed: number, layer: number) => {
      const question: Segment = { kind: "question", begin: 24, end: 26 };
      const context = inSegments({ ...oneHead(range(0, 26), 14), layer }, [...marks, question]);
      return keptRows(createMethod("random-shot", { seed, nSink: 0 }), context)[0] ?? [];
    };
    const seen = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const rows = kept(seed, 0);
      expect(kept(seed, 3)).toEqual(rows);
      expect(rows).toHaveLength(14);
      for (const row of rows) seen.add(row);
    }
    expect(seen.size).toBe(26);
  });

  it("recent-only keeps the newest", () => {
    expect(keptRows(createMethod("recent-only"), oneHead(range(0, 9), 3))).toEqual([[6, 7, 8]]);
  });
});

describe("bad options", () => {
  it.each([
    ["tova", { interval: -1 }, /interval must be an integer >= 0, got -1/],
    ["h2o", { recentShare: 1.5 }, /recentShare must be a number from 0 to 1, got 1.5/],
    ["pyramidkv", { beta: 0.5 }, /beta must be a number >= 1, got 0.5/],
    ["pyramidkv", { form: "floor" }, /form must be "exact" or "rounded", got "floor"/],
    ["adakv", { alpha: -0.1 }, /alpha must be a number from 0 to 1, got -0.1/],
    ["adakv", { scorer: "tova" }, /scorer must be .*"snapkv".*, got "tova"/],
    ["adakv", { scorer: "knorm", windowSize: 8 }, /no such parameter .*got "windowSize"/],
    ["chunkkv", { chunkSize: 0 }, /chunkSize must be an integer >= 1, got 0/],
    ["chunkkv", { fill: "none" }, /fill must be "exact" or "floor" or "kvpress", got "none"/],
    ["chunkkv", { reuse: 1.5 }, /reuse must be an integer >= 1, got 1.5/],
    ["shotkv", { keepDecode: 2 }, /keepDecode must be a number from 0 to 1, got 2/],
    ["shotkv", { interval: 0 }, /interval must be an integer >= 1, got 0/],
    ["dbudgetkv", { threshold: NaN }, /threshold must be a number from 0 to 1, got NaN/],
    ["dbudgetkv", { minRecent: 0 }, /minRecent must be an integer >= 1, got 0/],
    ["scope", { kernelSize: 4 }, /kernelSize must be an odd integer >= 1, got 4/],
    ["random", { seed: -1 }, /seed must be an integer from 0 to 4294967295, got -1/],
  ])("%s refuses %o", (name, parameters, message) => {
    const refused = expect.objectContaining({
      code: "bad-option",
      message: expect.stringMatching(message) as string,
    }) as Error;
    expect(() => createMethod(name, parameters)).toThrow(refused);
  });
});

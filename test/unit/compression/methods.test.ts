import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compose } from "../../../src/compression/compose.ts";
import { defineMethod } from "../../../src/compression/define-method.ts";
import { keepCount } from "../../../src/compression/budget.ts";
import { toKeepLists } from "../../../src/compression/keep-lists.ts";
import type { Method, Scorer, Signals } from "../../../src/compression/method.ts";
import { createMethod, methodNames } from "../../../src/compression/registry.ts";
import { recencyScorer } from "../../../src/compression/scorers/recency.ts";
import { windowScorer } from "../../../src/compression/scorers/window.ts";
import { tokenTopK } from "../../../src/compression/selectors/token-top-k.ts";
import { goldenPath, readF32, readJson, readU16 } from "../../support/golden.ts";
import {
  keptRows,
  layerContext,
  modelMeta,
  randomSignals,
  randomSums,
} from "../../support/layer-context.ts";
import { Rng } from "../../support/rng.ts";

const total = (counts: readonly number[]) => counts.reduce((sum, n) => sum + n, 0);
const range = (begin: number, end: number) =>
  Array.from({ length: end - begin }, (_, i) => begin + i);

describe("the method index", () => {
  it("is what its generator makes of the folder", () => {
    const script = fileURLToPath(
      new URL("../../../scripts/make-method-index.mjs", import.meta.url),
    );
    expect(() => execFileSync(process.execPath, [script, "--check"])).not.toThrow();
  });

  it("names each method as the method names itself", () => {
    expect(methodNames()).toEqual(expect.arrayContaining(["full", "snapkv", "streaming-llm"]));
    for (const name of methodNames()) expect(createMethod(name).id).toBe(name);
  });
});

describe("createMethod", () => {
  it("fills in defaults and tells the parameters that it uses", () => {
    const { parameters } = createMethod({ name: "snapkv", kernelSize: 7 }, { pooling: "max" });
    expect(parameters).toEqual({ windowSize: 64, kernelSize: 7, pooling: "max", groupAgg: "mean" });
  });

  it.each([
    ["nonesuch", {}, "not-found", /known: .*full, .*got "nonesuch"/],
    ["snapkv", { kernelSize: 4 }, "bad-option", /kernelSize must be an odd integer >= 1, got 4/],
    ["snapkv", { windowSize: 0 }, "bad-option", /windowSize must be an integer >= 1, got 0/],
    ["snapkv", { pooling: "sum" }, "bad-option", /pooling must be "avg" or "max", got "sum"/],
    ["snapkv", { window: 3 }, "bad-option", /no such parameter \(known: .*\), got "window"/],
    ["streaming-llm", { nSink: -1 }, "bad-option", /nSink must be an integer >= 0, got -1/],
    ["full", { toString: 1 }, "bad-option", /known: none/],
  ])("refuses %s %o", (name, parameters, code, message) => {
    const refused = expect.objectContaining({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(() => createMethod(name, parameters as Record<string, unknown>)).toThrow(
      refused as Error,
    );
  });

  it("takes a user's own definition", () => {
    const newest = defineMethod({
      id: "newest",
      create: () => compose({ scorer: recencyScorer(0), selector: tokenTopK }),
    });
    const context = layerContext({ nHeads: 1, nKvHeads: 1, lengths: [9], budget: [3] });
    expect(keptRows(createMethod(newest), context)).toEqual([[6, 7, 8]]);
    expect(() =>
      defineMethod({ id: "Bad Name", create: () => compose(Object.create(null)) }),
    ).toThrow(expect.objectContaining({ code: "bad-option" }));
  });
});

describe("windowScorer", () => {
  const score = (sums: number[], pooling: "avg" | "max", nQueries: number) => {
    const context = layerContext({
      nHeads: 1,
      nKvHeads: 1,
      lengths: [sums.length],
      budget: [sums.length],
      sums: Float32Array.from(sums),
      nQueries,
    });
    const scorer = windowScorer({ windowSize: nQueries, kernelSize: 5, pooling, groupAgg: "mean" });
    const [scores] = scorer.score(context).perHead;
    return Array.from(scores ?? [], (x) => Math.round(x * 1e6) / 1e6);
  };

  it("pools the rows before the window and never across its edge", () => {
    expect(score([0, 0, 1, 0, 0, 0, 9], "avg", 1)).toEqual([0.2, 0.2, 0.2, 0.2, 0.2, 0, 0]);
    expect(score([6, 0, 0, 0, 0, 0, 9, 9], "avg", 2)).toEqual([0.6, 0.6, 0.6, 0, 0, 0, 0, 0]);
    expect(score([0, 0, 1, 0, 0, 0, 9], "max", 1)).toEqual([1, 1, 1, 1, 1, 0, 0]);
  });

  it("with plateaus of max pooling, the older rows stay", () => {
    const sums = Float32Array.of(0, 0, 1, 0, 0, 0, 9);
    const context = layerContext({ nHeads: 1, nKvHeads: 1, lengths: [7], budget: [3], sums });
    const method = createMethod("snapkv", { windowSize: 1, pooling: "max" });
    expect(keptRows(method, context)).toEqual([[0, 1, 6]]);
  });

  it("reduces over the query heads of each kv head", () => {
    const sums = Float32Array.of(8, 0, 0, 0, 0, 2, 0, 0, 0, 4, 6, 0, 0, 4, 0, 0);
    const context = (groupAgg: string) => {
      const setup = { nHeads: 4, nKvHeads: 2, lengths: [4, 4], budget: [2, 2], sums };
      return keptRows(
        createMethod("snapkv", { windowSize: 1, kernelSize: 1, groupAgg }),
        layerContext(setup),
      );
    };
    expect(context("mean")).toEqual([
      [0, 3],
      [1, 3],
    ]);
    expect(context("max")).toEqual([
      [0, 3],
      [2, 3],
    ]);
  });
});

describe("streaming-llm", () => {
  it("keeps the sinks and the newest rows, sinks first when there is room for little", () => {
    const kept = (budget: number, nSink: number) => {
      const setup = { nHeads: 2, nKvHeads: 2, lengths: [12, 12], budget: [budget, budget] };
      return keptRows(createMethod("streaming-llm", { nSink }), layerContext(setup))[0];
    };
    expect(kept(7, 4)).toEqual([0, 1, 2, 3, 9, 10, 11]);
    expect(kept(5, 0)).toEqual([7, 8, 9, 10, 11]);
    expect(kept(3, 4)).toEqual([0, 1, 11]);
    expect(kept(1, 4)).toEqual([11]);
  });
});

describe("every method", () => {
  const small: Readonly<Record<string, Record<string, unknown>>> = {
    snapkv: { windowSize: 3 },
    lagkv: { nSink: 2, lagSize: 5 },
    chunked: { chunkLength: 7 },
    // Mixed in, equal fractions of a row go to the lower head, whichever that is.
    adakv: { guarantee: "safe" },
  };
  const evicting = methodNames().filter((name) => {
    const { schedule, needs } = createMethod(name);
    return schedule.prefill === "end" && !needs.prefill.includes("hidden");
  });

  /** A random layer: ragged where the method allows, with forced rows now and then. */
  function randomLayer(rng: Rng, method: Method) {
    const nKvHeads = rng.integer(1, 4);
    const nHeads = nKvHeads * rng.integer(1, 4);
    const shared = rng.integer(2, 50);
    const isRagged = method.capabilities.raggedHeads && rng.integer(0, 2) === 1;
    const lengths = range(0, nKvHeads).map(() => (isRagged ? rng.integer(2, 50) : shared));
    const keep = rng.uniform(0.02, 1.2);
    const budget = lengths.map((n) => keepCount(n, keep));
    const nQueries = Math.max(1, Math.min(3, Math.min(...lengths) - 1));
    const forced = rng.integer(0, 3) === 0 ? [...rng.subset(Math.min(...lengths), 2)] : [];
    const sums = randomSums(rng, nHeads, Math.max(...lengths), nQueries);
    const signals = randomSignals(rng, { nHeads, lengths });
    return { nHeads, nKvHeads, lengths, budget, nQueries, forced, sums, signals };
  }

  describe.each(evicting)("%s", (name) => {
    it("keeps forced rows and exactly the budget, sorted, unique, in range", () => {
      const method = createMethod(name, small[name]);
      for (let seed = 0; seed < 300; seed++) {
        const setup = randomLayer(new Rng(seed), method);
        const context = layerContext(setup);
        // toKeepLists throws on what is unsorted, out of range, or misses a forced row.
        const kept = keptRows(method, context).map((rows) => rows.length);
        const allowed = kept.map((_, head) => {
          const nForced = context.forced[head]?.length ?? 0;
          const budget = Math.max(setup.budget[head] ?? 0, nForced);
          return Math.min(setup.lengths[head] ?? 0, budget);
        });
        const isOwnChoice = method.capabilities.budget !== "required";
        const movesRows = method.allocator.split !== undefined;
        if (isOwnChoice || movesRows) {
          const [nKept, nAllowed] = [total(kept), total(allowed)];
          expect(nKept, `seed ${seed}`).toBeLessThanOrEqual(nAllowed);
          if (!isOwnChoice) expect(nKept, `seed ${seed}`).toBe(nAllowed);
        } else {
          expect(kept, `seed ${seed}`).toEqual(allowed);
        }
      }
    });

    it("gives the same rows again, whatever was asked in between", () => {
      for (let seed = 0; seed < 40; seed++) {
        const method = createMethod(name, small[name]);
        const one = layerContext(randomLayer(new Rng(seed), method));
        const other = layerContext(randomLayer(new Rng(seed + 1000), method));
        const first = keptRows(method, one);
        keptRows(method, other);
        expect(keptRows(method, one)).toEqual(first);
        expect(keptRows(createMethod(name, small[name]), one)).toEqual(first);
      }
    });

    it("permuted heads keep permuted rows", () => {
      for (let seed = 0; seed < 40; seed++) {
        const method = createMethod(name, small[name]);
        const rng = new Rng(seed);
        const tied = randomLayer(rng, method);
        // Equal scores of two heads would go to the lower one.
        const setup = { ...tied, sums: tied.sums.map((sum) => sum + rng.uniform(0, 1e-3)) };
        const n = Math.max(...setup.lengths);
        // Query heads in reverse order, each of `size` cells.
        const turned = (cells: Float32Array, size: number) =>
          Float32Array.from(
            range(0, setup.nHeads)
              .reverse()
              .flatMap((head) => [...cells.subarray(head * size, (head + 1) * size)]),
          );
        const { keys, keysRaw, values, queryStats, valueOutputNorms } = setup.signals as Signals;
        const { mean, covariance, nQueries } = queryStats;
        const d = mean.length / setup.nHeads;
        const reversed = {
          ...setup,
          lengths: setup.lengths.toReversed(),
          budget: setup.budget.toReversed(),
          sums: turned(setup.sums, n),
          signals: {
            keys: keys.toReversed(),
            keysRaw: keysRaw.toReversed(),
            values: values.toReversed(),
            queryStats: { mean: turned(mean, d), covariance: turned(covariance, d * d), nQueries },
            valueOutputNorms: { norms: turned(valueOutputNorms.norms, n), nRows: n },
          },
        };
        const expected = keptRows(method, layerContext(setup)).reverse();
        expect(keptRows(method, layerContext(reversed)), `seed ${seed}`).toEqual(expected);
      }
    });

    it("accepts models of one layer, one kv head, or a kv head per query head", () => {
      const method = createMethod(name);
      for (const [nHeads, nKvHeads] of [
        [1, 1],
        [8, 1],
        [8, 8],
      ] as const) {
        expect(method.validate(modelMeta(nHeads, nKvHeads))).toEqual([]);
      }
    });
  });
});

describe("toKeepLists", () => {
  const context = layerContext({
    nHeads: 2,
    nKvHeads: 2,
    lengths: [6, 6],
    budget: [3, 3],
    forced: [1],
  });
  const apply = (rows: readonly Uint32Array[]) =>
    toKeepLists(
      createMethod("snapkv"),
      [{ kind: "keep", layer: 0, rows }],
      new Map([[0, context]]),
    );

  it.each([
    [
      [
        [5, 1],
        [1, 5],
      ],
      "increase",
    ],
    [
      [
        [1, 1, 5],
        [1, 5],
      ],
      "increase",
    ],
    [
      [
        [1, 6],
        [1, 5],
      ],
      "increase",
    ],
    [
      [
        [1, 5],
        [2, 5],
      ],
      "forced row 1",
    ],
    [
      [
        [1, 2, 3, 5],
        [1, 2, 3, 5],
      ],
      "at most 6 rows stay, got 8",
    ],
    [
      [
        [1, 5],
        [1, 5],
        [1, 5],
      ],
      "2 heads have a list each, got 3",
    ],
  ])("refuses %o", (rows, text) => {
    const refused = expect.objectContaining({ message: expect.stringContaining(text) as string });
    expect(() => apply(rows.map((list) => Uint32Array.from(list)))).toThrow(refused as Error);
  });

  it("lets a head have what another leaves, and one list stand for all heads", () => {
    expect(apply([Uint32Array.of(0, 1, 3, 5), Uint32Array.of(1, 5)]).get(0)).toHaveLength(2);
    expect(apply([Uint32Array.of(1, 5)]).get(0)).toEqual([
      Uint32Array.of(1, 5),
      Uint32Array.of(1, 5),
    ]);
  });

  it("refuses mutations that are not applied", () => {
    const mutation = { kind: "alias", layer: 0, storageOf: 1 } as const;
    expect(() => toKeepLists(createMethod("snapkv"), [mutation], new Map([[0, context]]))).toThrow(
      expect.objectContaining({ code: "unsupported-option" }),
    );
  });
});

const presses = (prompt: string) => `smollm2/presses/${prompt}`;

interface PressEntry {
  readonly kept: { readonly file: string };
  readonly counts: readonly (readonly number[])[];
  readonly scores?: { readonly file: string };
}
type Presses = Record<string, { readonly ratios: Record<string, PressEntry> }>;

describe
  .skipIf(goldenPath(`${presses("p300")}/presses.json`) === undefined)
  .each(["p300", "p1000"])("against kvpress, %s", (prompt) => {
  const folder = presses(prompt);
  const golden = readJson<Presses>(`${folder}/presses.json`);
  const nTokens = readJson<{ ids: number[] }>(`${folder}/index.json`).ids.length;
  const heads = (entry: PressEntry) => {
    const kept = readU16(`${folder}/${entry.kept.file}`);
    let next = 0;
    return entry.counts.map((layer) => layer.map((n) => [...kept.subarray(next, (next += n))]));
  };

  it.each(["0.5", "0.8", "0.9"])("streaming-llm keeps the same rows with %s removed", (removed) => {
    const entry = golden["streaming_llm"]?.ratios[removed] as PressEntry;
    const nKept = keepCount(nTokens, 1 - Number(removed));
    const setup = { nHeads: 9, nKvHeads: 3, lengths: [nTokens, nTokens, nTokens] };
    const context = layerContext({ ...setup, budget: [nKept, nKept, nKept] });
    const kept = keptRows(createMethod("streaming-llm"), context);
    for (const layer of heads(entry)) expect(kept).toEqual(layer);
  });

  it("snapkv's selector keeps the same rows for the same scores", () => {
    const entry = golden["snapkv"]?.ratios["0.8"] as PressEntry;
    const all = readF32(`${folder}/${entry.scores?.file ?? ""}`);
    const nKept = keepCount(nTokens, 1 - 0.8);
    const budget = [nKept, nKept, nKept];
    const context = layerContext({
      nHeads: 9,
      nKvHeads: 3,
      lengths: [nTokens, nTokens, nTokens],
      budget,
    });
    for (const [l, expected] of heads(entry).entries()) {
      const perHead = range(0, 3).map((h) =>
        all.subarray((l * 3 + h) * nTokens, (l * 3 + h + 1) * nTokens),
      );
      const scorer: Scorer = {
        needs: { prefill: [], decode: [] },
        score: () => ({ perHead, nSink: 0, nRecent: 16 }),
      };
      const parts = compose({ scorer, selector: tokenTopK });
      const method = defineMethod({ id: "golden", create: () => parts }).create();
      for (const [head, rows] of keptRows(method, context).entries()) {
        const scores = perHead[head] as Float32Array;
        const cut = Math.min(...(expected[head] ?? []).map((row) => scores[row] as number));
        const above = (list: readonly number[]) =>
          list.filter((row) => (scores[row] as number) > cut);
        // At the cut itself kvpress breaks ties at will.
        expect(above(rows)).toEqual(above(expected[head] ?? []));
        expect(rows.length).toBe(expected[head]?.length);
        expect(Math.min(...rows.map((row) => scores[row] as number))).toBe(cut);
      }
    }
  });
});

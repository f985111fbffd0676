// What must hold for every method that the registry finds, on doubles of models of several shapes,
// under every kind of budget: no engine, no cache.
import { describe, expect, it } from "vitest";
import { keepCount, planBudget } from "../../../src/compression/budget.ts";
import { overflowOf, toKeepLists } from "../../../src/compression/keep-lists.ts";
import type { LayerContext, Method, SignalName, Signals } from "../../../src/compression/method.ts";
import { createMethod, methodNames } from "../../../src/compression/registry.ts";
import {
  fillSegments,
  forcedCount,
  forcedRows,
  type Segment,
} from "../../../src/compression/segments.ts";
import type { Budget } from "../../../src/types.ts";
import { layerContext, modelMeta, randomSignals, randomSums } from "../../support/layer-context.ts";
import { naiveSelect } from "../../support/naive-select.ts";
import { Rng, seedOf } from "../../support/rng.ts";

interface Shape {
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
}

const shapes: readonly Shape[] = [
  { nLayers: 1, nHeads: 1, nKvHeads: 1 },
  { nLayers: 1, nHeads: 6, nKvHeads: 3 },
  { nLayers: 3, nHeads: 4, nKvHeads: 1 },
  { nLayers: 4, nHeads: 4, nKvHeads: 4 },
  { nLayers: 5, nHeads: 6, nKvHeads: 2 },
];

const cost = { rowBytes: 36, headroom: 4, scratchBytes: 500, growthBytes: 0 };

/** One prompt, the same for all layers. */
interface Prompt {
  readonly shape: Shape;
  readonly nTokens: number;
  readonly segments: readonly Segment[];
  readonly seed: number;
}

/** Kept rows of a layer, and what was allowed. */
interface Kept {
  readonly rows: readonly (readonly number[])[];
  readonly request: LayerContext;
}

const ofAttention: readonly SignalName[] = ["lastRow", "window", "colSum"];

/** Methods with a window score by few queries here: prompts are short. */
function create(name: string): Method {
  const hasWindow = "windowSize" in createMethod(name).parameters;
  return createMethod(name, hasWindow ? { windowSize: 3 } : {});
}

function randomPrompt(rng: Rng, shape: Shape): Prompt {
  const nTokens = rng.integer(6, 40);
  const marks: Segment[] = [];
  let begin = rng.integer(0, 3);
  if (begin > 0) marks.push({ kind: "system", begin: 0, end: begin, isForced: begin === 2 });
  while (begin < nTokens - 3) {
    const end = Math.min(nTokens - 3, begin + rng.integer(1, 9));
    if (rng.integer(0, 6) > 0) marks.push({ kind: "shot", begin, end });
    begin = end;
  }
  if (rng.integer(0, 3) > 0) marks.push({ kind: "question", begin, end: nTokens });
  const segments = fillSegments(rng.integer(0, 4) > 0 ? marks : [], 0, nTokens);
  return { shape, nTokens, segments, seed: rng.next() };
}

function contextsOf(prompt: Prompt, method: Method, plan: readonly Uint32Array[]): LayerContext[] {
  const { shape, nTokens, segments, seed } = prompt;
  const sequence = { seen: 0, promptLength: nTokens, segments };
  const state = method.onSequence(sequence);
  const model = modelMeta(shape.nHeads, shape.nKvHeads, shape.nLayers);
  const isOfAttention = method.needs.prefill.every((signal) => ofAttention.includes(signal));
  return plan.map((budget, layer) => {
    const rng = new Rng(seed + layer);
    const lengths = new Array<number>(shape.nKvHeads).fill(nTokens);
    const nQueries = Math.min(3, nTokens - 1);
    const context = layerContext({
      nHeads: shape.nHeads,
      nKvHeads: shape.nKvHeads,
      lengths,
      budget: [...budget],
      nQueries,
      sums: randomSums(rng, shape.nHeads, nTokens, nQueries),
      ...(!isOfAttention && { signals: randomSignals(rng, { nHeads: shape.nHeads, lengths }) }),
    });
    const forced = context.rows.positions.map((positions) =>
      Uint32Array.from(new Set([...forcedRows(segments, positions), nTokens - 1])).sort(),
    );
    return { ...context, layer, model, sequence, forced, state };
  });
}

function planOf({ shape, nTokens, segments }: Prompt, method: Method, budget: Budget | undefined) {
  return planBudget({
    budget,
    nRows: nTokens,
    nKvHeads: shape.nKvHeads,
    evicts: Array.from({ length: shape.nLayers }, () => true),
    minRows: Math.max(method.minRows, forcedCount(segments)),
    isShared: !method.capabilities.raggedHeads,
    cost,
    allocator: method.allocator,
    kernels: naiveSelect,
  });
}

/** Runs a method over all layers of a prompt; layers that it skips keep all. */
function run(prompt: Prompt, method: Method, budget: Budget | undefined): Kept[] {
  const contexts = contextsOf(prompt, method, planOf(prompt, method, budget));
  const asked = contexts.filter(({ layer, model }) => method.skips?.(layer, model) !== true);
  const requests = new Map(asked.map((context) => [context.layer, context]));
  const mutations =
    method.scope === "model"
      ? (method.onPrefillEnd?.(asked) ?? [])
      : asked.flatMap((context) => method.onPrefillLayer?.(context) ?? []);
  // Throws on what is unsorted, repeated, out of range, lacks a forced row or exceeds the budget.
  const lists = toKeepLists(method, mutations, requests);
  return contexts.map((request) => {
    const all = request.rows.positions.map((positions) => [...positions.keys()]);
    return { request, rows: lists.get(request.layer)?.map((rows) => [...rows]) ?? all };
  });
}

function budgetsOf(rng: Rng, method: Method, { shape, nTokens, segments }: Prompt): Budget[] {
  const cells = shape.nLayers * shape.nKvHeads;
  const least = Math.min(nTokens, Math.max(method.minRows, forcedCount(segments)));
  const rows = cells * least + rng.integer(0, cells * (nTokens - least) + 1);
  const bytes = cells * cost.headroom * cost.rowBytes + cost.scratchBytes + rows * cost.rowBytes;
  const all: Budget[] = [{ tokens: rng.integer(method.minRows, nTokens + 3 + method.minRows) }];
  all.push({ keep: rng.uniform(0.02, 1) });
  return method.scope === "model" ? all : [...all, { bytes: bytes + 7 }];
}

const total = (counts: readonly number[] | Uint32Array) =>
  Array.from(counts).reduce((a, b) => a + b, 0);

/** Methods that leave rows of the budget unused, because units do not fit or the norm is held. */
const underfull = ["dbudgetkv", "random-shot", "shotkv"];

const evicting = methodNames().filter((name) => createMethod(name).schedule.prefill === "end");

describe.each(evicting)("%s", (name) => {
  const cases = function* () {
    const rng = new Rng(seedOf(name));
    for (let round = 0; round < 30; round++) {
      const prompt = randomPrompt(rng, shapes[round % shapes.length] as Shape);
      for (const budget of budgetsOf(rng, create(name), prompt)) yield { prompt, budget };
    }
  };

  it("keeps forced rows and the whole budget, sorted, unique, in range, for every budget", () => {
    for (const { prompt, budget } of cases()) {
      const method = create(name);
      for (const { rows, request } of run(prompt, method, budget)) {
        if (method.skips?.(request.layer, request.model) === true) continue;
        const where = `${JSON.stringify(budget)} seed ${prompt.seed} layer ${request.layer}`;
        const allowed = total(request.budget) + overflowOf(request);
        const nKept = total(rows.map((kept) => kept.length));
        const capacity = total(request.rows.length);
        if (underfull.includes(name)) {
          expect(nKept, where).toBeLessThanOrEqual(Math.min(capacity, allowed));
          expect(nKept, where).toBeGreaterThan(0);
        } else {
          expect(nKept, where).toBe(Math.min(capacity, allowed));
        }
        if (!method.capabilities.raggedHeads) {
          expect(new Set(rows.map((kept) => kept.length)).size, where).toBe(1);
        }
        if (method.capabilities.sharedAcrossHeads) {
          for (const kept of rows) expect(kept, where).toEqual(rows[0]);
        }
      }
    }
  });

  it("plans the exact total of tokens and fractions, and never more than the rows there are", () => {
    for (const { prompt, budget } of cases()) {
      const method = create(name);
      const plan = planOf(prompt, method, budget);
      const { nLayers, nKvHeads } = prompt.shape;
      for (const rows of plan.flatMap((layer) => [...layer])) {
        expect(rows).toBeLessThanOrEqual(prompt.nTokens);
      }
      if ("bytes" in budget) continue;
      const each =
        "tokens" in budget
          ? Math.min(budget.tokens, prompt.nTokens)
          : keepCount(prompt.nTokens, budget.keep);
      expect(total(plan.map(total))).toBe(nLayers * nKvHeads * each);
    }
  });

  it("keeps everything where the budget reaches", () => {
    if (createMethod(name).capabilities.budget !== "required") return;
    const rng = new Rng(seedOf(name) + 1);
    for (let round = 0; round < 10; round++) {
      const prompt = randomPrompt(rng, shapes[round % shapes.length] as Shape);
      for (const budget of [{ keep: 1 }, { tokens: prompt.nTokens }, { tokens: 9999 }]) {
        const whole = [...Array(prompt.nTokens).keys()];
        for (const { rows } of run(prompt, create(name), budget)) {
          for (const kept of rows) expect(kept).toEqual(whole);
        }
      }
    }
  });

  it("gives the same rows again, whatever sequence it had in between", () => {
    let previous: { prompt: Prompt; budget: Budget } | undefined;
    const method = create(name);
    const rowsOf = (kept: readonly Kept[]) => kept.map(({ rows }) => rows);
    for (const { prompt, budget } of cases()) {
      const first = rowsOf(run(prompt, method, budget));
      if (previous) run(previous.prompt, method, previous.budget);
      expect(rowsOf(run(prompt, method, budget))).toEqual(first);
      expect(rowsOf(run(prompt, create(name), budget))).toEqual(first);
      previous = { prompt, budget };
    }
  });

  it("remembers plain data only", () => {
    const rng = new Rng(seedOf(name) + 2);
    const prompt = randomPrompt(rng, shapes[1] as Shape);
    const method = create(name);
    const contexts = contextsOf(prompt, method, planOf(prompt, method, { keep: 0.5 }));
    const state = contexts[0]?.state;
    contexts.forEach((context) => method.onPrefillLayer?.(context));
    expect(structuredClone(state)).toEqual(state);
  });

  it("permuted heads keep permuted rows", () => {
    for (const { prompt, budget } of cases()) {
      const method = create(name);
      if (method.scope === "model") return;
      const plan = planOf(prompt, method, budget);
      // Budgets that differ between heads, and ties between them, go by the order of heads.
      if (plan.some((layer) => new Set(layer).size > 1)) continue;
      for (const context of contextsOf(prompt, method, plan)) {
        const keep = (one: LayerContext): number[][] => {
          const own = { ...one, state: method.onSequence(one.sequence) };
          const request = new Map([[one.layer, one]]);
          const all = one.rows.positions.map((positions) => [...positions.keys()]);
          const lists = toKeepLists(method, method.onPrefillLayer?.(own) ?? [], request);
          return lists.get(one.layer)?.map((rows) => [...rows]) ?? all;
        };
        const [straight, turned] = [keep(context), keep(reversed(context))];
        if (splitsRows.includes(name)) {
          const counts = (lists: number[][]) => total(lists.map((rows) => rows.length));
          expect(counts(turned)).toBe(counts(straight));
        } else {
          expect(turned).toEqual(straight.reverse());
        }
      }
    }
  });

  it("accepts models of one layer, one kv head, or a kv head per query head", () => {
    for (const { nHeads, nKvHeads, nLayers } of shapes) {
      expect(createMethod(name).validate(modelMeta(nHeads, nKvHeads, nLayers))).toEqual([]);
    }
  });
});

/** Methods that move rows between heads: there ties go by the order of heads. */
const splitsRows = ["adakv", "critical-adakv"];

/** The same layer with its query heads in the opposite order. */
function reversed(context: LayerContext): LayerContext {
  const { nHeads } = context.model;
  const turn = (cells: Float32Array): Float32Array => {
    const size = cells.length / nHeads;
    const heads = Array.from({ length: nHeads }, (_, head) => nHeads - 1 - head);
    return Float32Array.from(
      heads.flatMap((head) => [...cells.subarray(head * size, (head + 1) * size)]),
    );
  };
  const signal = (signalName: keyof Signals) => {
    const value = context.signal(signalName);
    if (Array.isArray(value)) return (value as Float32Array[]).toReversed();
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [
        key,
        part instanceof Float32Array ? turn(part) : (part as number),
      ]),
    );
  };
  return { ...context, signal: signal as LayerContext["signal"] };
}

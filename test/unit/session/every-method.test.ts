// What must hold for every method that the registry finds, through the whole engine, on toys of all
// four architectures.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keepCount } from "../../../src/compression/budget.ts";
import { createMethod, methodNames } from "../../../src/compression/registry.ts";
import type { LocalModel } from "../../../src/session/local-model.ts";
import type { Budget } from "../../../src/types.ts";
import {
  budgetFor,
  evictingLayers,
  inDecode,
  leastBytes,
  MethodRun,
  openSimd,
  type RunOptions,
  small,
  type Spec,
  takesBytes,
  whole,
} from "../../support/method-run.ts";
import { isSameBits } from "../../support/sequence.ts";
import { answer } from "../../support/sessions.ts";
import { type Toy, toyGolden, TOYS } from "../../support/toys.ts";

const HEADROOM = 8;
const TOKENS = 20;
const KEEP = 0.3;
/** Whole examples, and what holds a norm, need not fill a budget. */
const isUnderfull = (name: string): boolean => {
  const { parameters, capabilities } = createMethod(name);
  return "forcesQuestion" in parameters || capabilities.budget === "optional";
};

/** Where prompts break off: between layers, and when all of them are compressed. */
const breaks = [
  [0.6, { code: "aborted" }],
  ["at the end", { message: "broken off" }],
] as const;

const counted = (lists: readonly (readonly number[])[]): number =>
  lists.reduce((sum, list) => sum + list.length, 0);

/** A test where the method has what it is about; where not, there is no test to skip. */
function whenIt(applies: boolean): (name: string, run: () => Promise<void>) => void {
  return (name, run) => (applies ? test(name, run) : undefined);
}

describe.each(TOYS)("%s", (toy: Toy) => {
  const { ids } = toyGolden(toy);
  const [first, second, steps] = [ids.slice(0, 30), ids.slice(30), ids.slice(5, 9)];
  const positions = [...ids.keys()];
  let model: LocalModel;
  beforeAll(async () => {
    model = await openSimd(toy);
  });
  afterAll(() => model.dispose());

  /** Does `use` with a run that is disposed afterwards. */
  async function withRun<T>(options: RunOptions, use: (run: MethodRun) => Promise<T>): Promise<T> {
    const run = new MethodRun(model, { headroom: HEADROOM, ...options });
    try {
      return await use(run);
    } finally {
      run.dispose();
    }
  }

  const keptOf = (method: Spec, budget: Budget, chunkSize = 16): Promise<number[][][]> =>
    withRun({ method, ...budgetFor(method, budget), chunkSize }, async (run) => {
      await run.prefill(ids);
      return run.kept();
    });

  let full: ReturnType<typeof told> | undefined;

  /** All logits of prompt and steps, and all that is stored then. */
  const told = (options: RunOptions) =>
    withRun(options, async (run) => {
      const logits = [await run.read(ids)];
      for (const token of steps) {
        await run.step(token);
        logits.push(await run.decoder.logits());
      }
      return { logits, stored: await run.stored() };
    });

  /** Positions of each head; layers that are not evicted from are whole. */
  function checkKept(name: string, kept: number[][][], isTrimmed = false): void {
    const method = createMethod(small(name));
    const evicting = evictingLayers(method, model);
    for (const [l, layer] of kept.entries()) {
      expect(layer).toHaveLength(model.config.nKvHeads);
      for (const head of layer) {
        expect(head, `layer ${l}`).toEqual([...new Set(head)].sort((a, b) => a - b));
        expect(head.every((at) => at >= 0 && at < ids.length)).toBe(true);
        expect(head.at(-1)).toBe(ids.length - 1);
        if (evicting.includes(l)) continue;
        const window = model.config.layers[l]?.window ?? 0;
        expect(head).toEqual(isTrimmed && window > 0 ? positions.slice(-window) : positions);
      }
      const lengths = new Set(layer.map((head) => head.length));
      if (!method.capabilities.raggedHeads) expect(lengths.size).toBe(1);
      if (!method.capabilities.sharedAcrossHeads) continue;
      for (const head of layer) expect(head).toEqual(layer[0]);
    }
  }

  describe.each(methodNames())("%s", (name) => {
    const takesBudget = createMethod(name).capabilities.budget !== "none";
    const spec = small(name);
    const answering = { method: inDecode(name), ...budgetFor(spec, { tokens: TOKENS }) };

    const each: readonly (readonly [Budget, number])[] = [
      [{ tokens: TOKENS }, TOKENS],
      [{ keep: KEEP }, keepCount(ids.length, KEEP)],
    ];
    test.each(each)("%j: ascending, in range, the newest, the whole budget", async (budget, n) => {
      const kept = await keptOf(spec, budget);
      checkKept(name, kept);
      const evicting = evictingLayers(createMethod(spec), model);
      const nKept = counted(evicting.flatMap((l) => kept[l] ?? []));
      const allowed = evicting.length * model.config.nKvHeads * n;
      if (isUnderfull(name)) expect(nKept).toBeLessThanOrEqual(allowed);
      else expect(nKept).toBe(allowed);
      // Something is left to choose, and chosen.
      if (evicting.length > 0) expect(nKept).toBeGreaterThan(0);
    });

    whenIt(takesBytes(createMethod(spec)))("bytes are held, answer included", async () => {
      const least = leastBytes(model, { method: spec, headroom: HEADROOM }, ids.length);
      const bytes = least + 5_000;
      await withRun({ method: spec, budget: { bytes } }, async (run) => {
        await run.prefill(ids);
        expect(run.cache.usage().peakBytes).toBeLessThanOrEqual(bytes);
        const kept = await run.kept();
        const evicting = evictingLayers(createMethod(spec), model);
        const nKept = counted(evicting.flatMap((l) => kept[l] ?? []));
        expect(nKept).toBeLessThan(evicting.length * model.config.nKvHeads * ids.length);
        checkKept(name, kept, true);
        for (const token of steps) await run.step(token);
        expect(run.cache.usage().peakBytes).toBeLessThanOrEqual(bytes);
      });
    });

    whenIt(takesBudget)("a budget for everything: full, bit for bit", async () => {
      const { logits, stored } = await (full ??= told({ method: { name: "full" } }));
      for (const budget of [{ keep: 1 }, { tokens: 1000 }]) {
        const actual = await told({ method: whole(name), budget });
        expect(isSameBits(actual.logits, logits)).toBe(true);
        expect(isSameBits(actual.stored, stored)).toBe(true);
      }
    });

    test("prompts in chunks of 7 and of 64: the same rows", async () => {
      const kept = await keptOf(spec, { tokens: TOKENS }, 64);
      expect(await keptOf(spec, { tokens: TOKENS }, 7)).toEqual(kept);
    });

    test("two sequences, a reset between them: each as alone, in decode too", async () => {
      await withRun(answering, async (run) => {
        const alone = await run.history(ids, steps);
        run.reset();
        const other = await run.history(second, steps);
        run.reset();
        expect(await run.history(ids, steps)).toEqual(alone);
        await withRun(answering, async (fresh) => {
          expect(other).toEqual(await fresh.history(second, steps));
        });
      });
    });

    test("a session after a reset answers as a fresh one, bit for bit", async () => {
      const { method } = answering;
      const open = () =>
        model.session({ method, ...budgetFor(method, { keep: KEEP }), headroom: HEADROOM });
      const exact = { maxTokens: 6, logprobs: 0, ignoreEos: true } as const;
      const [session, fresh] = [open(), open()];
      await answer(session, { tokens: ids }, exact);
      session.reset();
      const actual = await answer(session, { tokens: second }, exact);
      const expected = await answer(fresh, { tokens: second }, exact);
      expect(actual.tokens).toEqual(expected.tokens);
      expect(session.usage().compression).toEqual(fresh.usage().compression);
      session.dispose();
      fresh.dispose();
    });

    test("a first prompt that breaks off: nothing is left of it", async () => {
      const told = async (run: MethodRun) => {
        await run.prefill(ids);
        return { stored: await run.stored(), report: run.compressor.report() };
      };
      const alone = await withRun(answering, told);
      await withRun(answering, async (run) => {
        for (const [where, error] of breaks) {
          expect(await run.breakOff(ids, where)).toMatchObject(error);
          expect(run.cache.seen).toBe(0);
          expect(run.cache.usage()).toMatchObject({ keptRows: 0, bytes: 0 });
        }
        const after = await told(run);
        expect(isSameBits(after.stored, alone.stored)).toBe(true);
        expect(after.report).toEqual(alone.report);
      });
    });

    test("a second that does: rows are as before, and so is what comes after", async () => {
      const options = { ...answering, turnPolicy: "each" } as const;
      const read = async (run: MethodRun, prompt: readonly number[]) => {
        await run.prefill(prompt);
        for (const token of steps) await run.step(token);
        return { stored: await run.stored(), report: run.compressor.report() };
      };
      const alone = await withRun(options, async (run) => {
        await read(run, first);
        return read(run, second);
      });
      await withRun(options, async (run) => {
        const { stored } = await read(run, first);
        const { seen } = run.cache;
        for (const [where, error] of breaks) {
          expect(await run.breakOff(second, where)).toMatchObject(error);
          expect(run.cache.seen).toBe(seen);
          expect(isSameBits(await run.stored(), stored)).toBe(true);
        }
        const after = await read(run, second);
        expect(isSameBits(after.stored, alone.stored)).toBe(true);
        expect(after.report).toEqual(alone.report);
      });
    });
  });
});

import { describe, expect, it } from "vitest";
import { uniform } from "../../../src/compression/allocators/uniform.ts";
import {
  type BudgetRequest,
  checkBudget,
  keepCount,
  planBudget,
} from "../../../src/compression/budget.ts";
import type { Budget } from "../../../src/types.ts";
import { naiveSelect } from "../../support/naive-select.ts";
import { Rng } from "../../support/rng.ts";

const request = (budget: Budget | undefined, more: Partial<BudgetRequest> = {}): BudgetRequest => ({
  budget,
  nRows: 100,
  nKvHeads: 2,
  evicts: [true, true, true],
  minRows: 1,
  isShared: false,
  cost: { rowBytes: 36, headroom: 4, scratchBytes: 7200 },
  allocator: uniform,
  kernels: naiveSelect,
  ...more,
});

const rowsOf = (plan: readonly Uint32Array[]) => plan.map((layer) => [...layer]);
const badOption = (text: string) =>
  expect.objectContaining({
    code: "bad-option",
    message: expect.stringContaining(text) as string,
  }) as Error;

describe("keepCount", () => {
  it.each([
    [10, 0.1, 1],
    [5, 0.2, 1],
    [20, 0.1, 2],
    [15, 0.2, 3],
    [30, 0.2, 6],
    [17, 1, 17],
    [0, 0.5, 0],
    [3, 0.01, 1],
  ])("of %i rows at %f is %i", (nRows, keep, count) => {
    expect(keepCount(nRows, keep)).toBe(count);
  });

  it("equals exact integer arithmetic for every length and per mille", () => {
    for (let nRows = 1; nRows <= 700; nRows++) {
      for (const perMille of [10, 50, 100, 125, 200, 250, 300, 333, 500, 700, 750, 900, 990]) {
        const exact = Math.max(1, Math.floor((nRows * perMille) / 1000));
        expect(keepCount(nRows, 1 - (1000 - perMille) / 1000)).toBe(exact);
      }
    }
  });
});

describe("planBudget", () => {
  it("gives tokens and fractions to every head of every layer that evicts", () => {
    const evicts = [true, false, true];
    expect(rowsOf(planBudget(request({ tokens: 30 }, { evicts })))).toEqual([
      [30, 30],
      [100, 100],
      [30, 30],
    ]);
    expect(rowsOf(planBudget(request({ keep: 0.25 }, { evicts })))).toEqual([
      [25, 25],
      [100, 100],
      [25, 25],
    ]);
  });

  it("leaves everything where the budget reaches, and without one", () => {
    const all = [
      [100, 100],
      [100, 100],
      [100, 100],
    ];
    for (const budget of [
      undefined,
      { tokens: 100 },
      { tokens: 5000 },
      { keep: 1 },
      { bytes: 22464 },
    ]) {
      expect(rowsOf(planBudget(request(budget)))).toEqual(all);
    }
  });

  it("spends bytes to the last row, with positions, headroom and scratch inside", () => {
    // 6 heads x 4 rows x 36 bytes of headroom and 7200 of scratch leave 40 rows and 35 bytes.
    const bytes = 864 + 7200 + 40 * 36 + 35;
    expect(rowsOf(planBudget(request({ bytes })))).toEqual([
      [7, 7],
      [7, 7],
      [6, 6],
    ]);
    expect(rowsOf(planBudget(request({ bytes }, { isShared: true })))).toEqual([
      [7, 7],
      [7, 7],
      [6, 6],
    ]);
    expect(rowsOf(planBudget(request({ bytes: bytes - 36 }, { isShared: true })))).toEqual([
      [7, 7],
      [6, 6],
      [6, 6],
    ]);
  });

  it("never exceeds bytes and wastes less than a row per cell", () => {
    for (let seed = 0; seed < 300; seed++) {
      const rng = new Rng(seed);
      const evicts = Array.from({ length: rng.integer(1, 7) }, () => rng.integer(0, 4) > 0);
      const [nKvHeads, nRows] = [rng.integer(1, 5), rng.integer(1, 400)];
      const cost = {
        rowBytes: 260,
        headroom: rng.integer(0, 65),
        scratchBytes: rng.integer(0, 99999),
      };
      const nHeads = evicts.length * nKvHeads;
      const fullBytes = nHeads * (nRows + cost.headroom) * cost.rowBytes;
      const bytes = rng.integer(1, fullBytes + 1000);
      const isShared = rng.integer(0, 2) === 1;
      const wanted = request({ bytes }, { evicts, nKvHeads, nRows, cost, isShared });
      let plan: Uint32Array[];
      try {
        plan = planBudget(wanted);
      } catch (error) {
        expect(error).toMatchObject({ code: "bad-option" });
        continue;
      }
      const planned = plan.flatMap((layer) => [...layer]).reduce((a, b) => a + b, 0);
      const isWhole = planned === nHeads * nRows;
      const scratch = isWhole ? 0 : cost.scratchBytes;
      const used = (planned + nHeads * cost.headroom) * cost.rowBytes + scratch;
      expect(used, `seed ${seed}`).toBeLessThanOrEqual(bytes);
      const step = (isShared ? nKvHeads : 1) * cost.rowBytes;
      if (!isWhole) expect(bytes - used, `seed ${seed}`).toBeLessThan(step);
    }
  });

  it("refuses bytes below the forced rows and says how many would do", () => {
    const least = 864 + 7200 + 6 * 10 * 36;
    const refused = badOption(
      `budget.bytes must be at least ${least} bytes for 100 tokens, got 8000`,
    );
    expect(() => planBudget(request({ bytes: 8000 }, { minRows: 10 }))).toThrow(refused);
    expect(rowsOf(planBudget(request({ bytes: least }, { minRows: 10 })))[0]).toEqual([10, 10]);
  });
});

describe("checkBudget", () => {
  it.each([
    [{ tokens: 64 }, "budget.tokens must be an integer >= 65 for this method, got 64"],
    [{ tokens: 70.5 }, "budget.tokens must be an integer >= 65 for this method, got 70.5"],
    [{ tokens: NaN }, "got NaN"],
    [{ keep: 0 }, "budget.keep must be above 0 and at most 1, got 0"],
    [{ keep: 1.5 }, "got 1.5"],
    [{ bytes: -1 }, "budget.bytes must be a whole number of bytes >= 1, got -1"],
    [{ ratio: 0.5 }, "must be one of tokens, keep or bytes, got ratio"],
    [{}, "got none"],
    [{ tokens: 70, keep: 0.5 }, "got tokens and keep"],
  ])("refuses %o", (budget, text) => {
    expect(() => checkBudget(budget as Budget, 65)).toThrow(badOption(text));
  });
});

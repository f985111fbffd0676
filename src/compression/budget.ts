// What a caller allows, `{ tokens }`, `{ keep }` or `{ bytes }`, as exact integers: rows per (layer,
// kv head), forced rows and observation window included. Decided once per prompt.
import { KvasirError } from "../errors.ts";
import type { Budget } from "../types.ts";
import type { SelectKernels } from "./kernels.ts";
import type { Allocator } from "./method.ts";
import { show } from "./parameters.ts";

/** What rows cost, bytes. */
export interface BudgetCost {
  /** One row of one kv head: key, value and position. */
  readonly rowBytes: number;
  /** Rows kept free per head. */
  readonly headroom: number;
  /** Staging and signals, held while a layer is compressed. */
  readonly scratchBytes: number;
  /** Old buffers of a layer while its new ones are filled, where nothing is compressed. Default 0. */
  readonly growthBytes?: number;
}

export interface BudgetRequest {
  /** undefined: no limit. */
  readonly budget: Budget | undefined;
  /** Most rows that a head holds before compression, the prompt included. */
  readonly nRows: number;
  readonly nKvHeads: number;
  /** Per layer: whether rows may be dropped there. */
  readonly evicts: readonly boolean[];
  /** Rows that layers which evict nothing hold in the end, all heads together. Default: all. */
  readonly otherRows?: number;
  /** Rows per head that must be left; above `nRows` it counts as `nRows`. */
  readonly minRows: number;
  readonly isShared: boolean;
  readonly cost: BudgetCost;
  readonly allocator: Allocator;
  readonly kernels: SelectKernels;
}

// A fraction like 0.1 is not exact: 20 * 0.1 must count as 2 wherever it comes from (methods.md 0.2).
const ROUNDING_SLACK = 1e-6;

/** Rows left of `nRows` at the fraction `keep`: never 0 while there are rows. */
export function keepCount(nRows: number, keep: number): number {
  if (nRows <= 0) return 0;
  if (keep >= 1) return nRows;
  return Math.min(nRows, Math.max(1, Math.floor(nRows * keep + ROUNDING_SLACK)));
}

/**
 * Refuses what no prompt can make right.
 * @param minRows Fewest rows per kv head that the method can work with.
 * @throws {KvasirError} `bad-option`.
 */
export function checkBudget(budget: Budget, minRows: number): void {
  const given = Object.entries(budget);
  const [name = "none", value] = given.length === 1 ? (given[0] ?? []) : [namesOf(given)];
  const rule = rulesOf(minRows).get(name);
  if (rule === undefined) refuse("budget", "one of tokens, keep or bytes", name);
  if (!rule.accepts(value)) refuse(`budget.${name}`, rule.range, show(value));
}

interface BudgetRule {
  readonly range: string;
  accepts(value: unknown): boolean;
}

function rulesOf(minRows: number): ReadonlyMap<string, BudgetRule> {
  const isWhole = (value: unknown, min: number) =>
    Number.isSafeInteger(value) && (value as number) >= min;
  const isFraction = (value: unknown) => typeof value === "number" && value > 0 && value <= 1;
  const tokens = `an integer >= ${minRows} for this method`;
  return new Map<string, BudgetRule>([
    ["tokens", { range: tokens, accepts: (value) => isWhole(value, minRows) }],
    ["keep", { range: "above 0 and at most 1", accepts: isFraction }],
    ["bytes", { range: "a whole number of bytes >= 1", accepts: (value) => isWhole(value, 1) }],
  ]);
}

function namesOf(given: readonly (readonly [string, unknown])[]): string {
  return given.map(([name]) => name).join(" and ") || "none";
}

/**
 * u32[nLayers][nKvHeads]: rows that may stay. A layer that evicts nothing gets `nRows`.
 *
 * With `{ bytes }` the cache never holds more while a first prompt of this length is read and
 * compressed layer by layer, and afterwards: rows, positions, headroom and scratch.
 * @throws {KvasirError} `bad-option` when the bytes do not hold `minRows` rows per head.
 */
export function planBudget(request: BudgetRequest): Uint32Array[] {
  const { nRows, nKvHeads, evicts, isShared, allocator, kernels, budget } = request;
  const nEvicting = evicts.filter(Boolean).length;
  const nCells = nEvicting * nKvHeads;
  const minRows = Math.min(request.minRows, nRows);
  const total = Math.min(totalRows(request, nCells, minRows), nCells * nRows);
  const planned =
    total === nCells * nRows
      ? []
      : allocator.plan({
          nLayers: nEvicting,
          nKvHeads,
          nRows,
          minRows,
          total,
          isShared,
          kernels,
          ...(budget !== undefined && "keep" in budget && { keep: budget.keep }),
        });
  let next = 0;
  return evicts.map((evictsHere) => {
    const rows = evictsHere ? planned[next++] : undefined;
    return rows ?? new Uint32Array(nKvHeads).fill(nRows);
  });
}

function totalRows(request: BudgetRequest, nCells: number, minRows: number): number {
  const { budget, nRows } = request;
  if (budget === undefined) return nCells * nRows;
  if ("tokens" in budget) return nCells * Math.min(budget.tokens, nRows);
  if ("keep" in budget) return nCells * keepCount(nRows, budget.keep);
  return rowsInBytes(request, budget.bytes, nCells, minRows);
}

function rowsInBytes(
  { nRows, nKvHeads, evicts, cost, otherRows }: BudgetRequest,
  bytes: number,
  nCells: number,
  minRows: number,
): number {
  const nHeads = evicts.length * nKvHeads;
  const headroomBytes = nHeads * cost.headroom * cost.rowBytes;
  // Nothing is staged where everything stays.
  const growthBytes = cost.growthBytes ?? 0;
  if (headroomBytes + nHeads * nRows * cost.rowBytes + growthBytes <= bytes) return nCells * nRows;
  const restBytes = (otherRows ?? (nHeads - nCells) * nRows) * cost.rowBytes;
  const otherBytes = headroomBytes + cost.scratchBytes + restBytes;
  const total = Math.floor((bytes - otherBytes) / cost.rowBytes);
  if (nCells === 0 || total < nCells * minRows) {
    const least = otherBytes + nCells * minRows * cost.rowBytes;
    refuse("budget.bytes", `at least ${least} bytes for ${nRows} tokens`, show(bytes));
  }
  return total;
}

function refuse(option: string, range: string, value: string): never {
  throw new KvasirError(
    "bad-option",
    `Cannot plan the cache: ${option} must be ${range}, got ${value}`,
  );
}

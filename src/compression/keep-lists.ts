// From what a method wants to keep lists that the cache can obey. Methods may come from users, so
// everything is checked here, once.
import { KvasirError } from "../errors.ts";
import type { Method, Mutation, RowsView } from "./method.ts";

/** Rows to keep per kv head, by layer; a layer without an entry keeps all. */
export type KeepLists = ReadonlyMap<number, readonly Uint32Array[]>;

export interface KeepRequest {
  readonly rows: RowsView;
  /** u32[nKvHeads]. */
  readonly budget: Uint32Array;
  readonly forced: readonly Uint32Array[];
  /** Rows of the layer that may stay beyond the budget. Default 0. */
  readonly nExtra?: number;
}

/** Positions that the rows which stay are rotated to, per kv head, by layer. */
export type Turns = ReadonlyMap<number, readonly Uint32Array[]>;

/**
 * @param requests The layers that the method was asked about.
 * @throws {KvasirError} `unsupported-option` for a mutation that is not applied yet, `bad-option` for
 * lists that are not strictly increasing, out of range, miss a forced row or exceed the budget.
 */
export function toKeepLists(
  method: Method,
  mutations: readonly Mutation[],
  requests: ReadonlyMap<number, KeepRequest>,
): KeepLists {
  const lists = new Map<number, readonly Uint32Array[]>();
  for (const mutation of mutations) {
    if (mutation.kind === "noop" || mutation.kind === "rerotate") continue;
    if (mutation.kind !== "keep") {
      throw new KvasirError(
        "unsupported-option",
        `Cannot compress with "${method.id}": only "keep" and "rerotate" are applied to rows, got "${mutation.kind}"`,
      );
    }
    const request = requests.get(mutation.layer);
    if (request === undefined || lists.has(mutation.layer)) {
      fail(method, mutation.layer, "a layer is kept once, when it is asked about");
    }
    const perHead = spread(mutation.rows, request.rows.length.length);
    check(method, mutation.layer, perHead, request);
    const nKept = perHead.reduce((sum, rows) => sum + rows.length, 0);
    if (nKept < total(request.rows.length)) lists.set(mutation.layer, perHead);
  }
  return lists;
}

/**
 * @param lists What stays, as `toKeepLists` gave it.
 * @param nextPosition Position of the token after the newest.
 * @throws {KvasirError} `bad-option` for positions that are not one per row, strictly increasing and
 * before the next one.
 */
export function toTurns(
  method: Method,
  mutations: readonly Mutation[],
  requests: ReadonlyMap<number, KeepRequest>,
  lists: KeepLists,
  nextPosition: number,
): Turns {
  const turns = new Map<number, readonly Uint32Array[]>();
  for (const mutation of mutations) {
    if (mutation.kind !== "rerotate") continue;
    const { layer } = mutation;
    const request = requests.get(layer);
    if (request === undefined || turns.has(layer)) {
      fail(method, layer, "a layer is rotated once, when it is asked about");
    }
    const { length } = request.rows;
    const perHead = spread(mutation.positions, length.length);
    for (const [head, positions] of perHead.entries()) {
      const nRows = lists.get(layer)?.[head]?.length ?? length[head] ?? 0;
      const isRising = positions.every((p, i) => i === 0 || p > (positions[i - 1] ?? p));
      const isBefore = (positions.at(-1) ?? 0) < nextPosition;
      if (positions.length !== nRows || !isRising || !isBefore) {
        fail(method, layer, `the ${nRows} rows of head ${head} increase below ${nextPosition}`);
      }
    }
    if (perHead.length !== length.length) fail(method, layer, "heads have a list each");
    turns.set(layer, perHead);
  }
  return turns;
}

/** Rows beyond the budget that forced rows make necessary. */
export function overflowOf({ budget, forced }: KeepRequest): number {
  return forced.reduce(
    (sum, rows, head) => sum + Math.max(0, rows.length - (budget[head] ?? 0)),
    0,
  );
}

function spread(rows: readonly Uint32Array[], nKvHeads: number): readonly Uint32Array[] {
  const [shared] = rows;
  if (rows.length !== 1 || shared === undefined) return rows;
  return new Array<Uint32Array>(nKvHeads).fill(shared);
}

function check(
  method: Method,
  layer: number,
  perHead: readonly Uint32Array[],
  request: KeepRequest,
): void {
  const { rows, budget, forced } = request;
  if (perHead.length !== rows.length.length) {
    fail(method, layer, `${rows.length.length} heads have a list each, got ${perHead.length}`);
  }
  for (const [head, kept] of perHead.entries()) {
    const nRows = rows.length[head] ?? 0;
    let previous = -1;
    for (let i = 0; i < kept.length; i++) {
      const row = kept[i] ?? nRows;
      if (row <= previous || row >= nRows) {
        fail(
          method,
          layer,
          `rows of head ${head} increase below ${nRows}, got ${row} after ${previous}`,
        );
      }
      previous = row;
    }
    const missing = forced[head]?.find((row) => !holds(kept, row));
    if (missing !== undefined) fail(method, layer, `head ${head} keeps forced row ${missing}`);
  }
  if (method.capabilities.budget === "none") return;
  const allowed = total(budget) + overflowOf(request) + (request.nExtra ?? 0);
  const nKept = perHead.reduce((sum, kept) => sum + kept.length, 0);
  if (nKept > allowed) fail(method, layer, `at most ${allowed} rows stay, got ${nKept}`);
}

/** Whether ascending `rows` hold `row`. */
function holds(rows: Uint32Array, row: number): boolean {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle] ?? 0) < row) low = middle + 1;
    else high = middle;
  }
  return rows[low] === row;
}

function total(counts: Uint32Array): number {
  return counts.reduce((sum, n) => sum + n, 0);
}

function fail(method: Method, layer: number, rule: string): never {
  throw new KvasirError(
    "bad-option",
    `Cannot compress layer ${layer} with "${method.id}": ${rule}`,
  );
}

// The kernels for budgets and units by other means than the Rust ones: whole sorts, sets, BigInt. An
// oracle for them, and what unit tests run methods on.
import type { SelectKernels } from "../../src/compression/kernels.ts";

type Part = Pick<
  SelectKernels,
  | "pyramid"
  | "split"
  | "scoreUnits"
  | "selectUnits"
  | "normPrefix"
  | "randomScores"
  | "carry"
  | "perQuery"
>;

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const rank = (score: number): number => (Number.isNaN(score) ? -Infinity : score);
/** Descending, NaN last. */
const byScore = (a: number, b: number): number =>
  Number.isNaN(a) !== Number.isNaN(b) ? (Number.isNaN(a) ? 1 : -1) : rank(b) - rank(a) || 0;

/** Whole numbers with the sum `sum`: floors, then the largest fractions; cells at a bound first. */
export function naiveApportion(
  shares: readonly number[],
  sum: number,
  low: number,
  high: readonly number[],
): number[] {
  const out = shares.map(() => NaN);
  for (;;) {
    const open = [...shares.keys()].filter((i) => Number.isNaN(out[i]));
    const rest = sum - total(out.filter((n) => !Number.isNaN(n)));
    const openSum = total(open.map((i) => shares[i] as number));
    const target = new Map(
      open.map((i) => [
        i,
        openSum > 0 ? ((shares[i] as number) * rest) / openSum : rest / open.length,
      ]),
    );
    const over = open.map((i) => Math.max(0, (target.get(i) as number) - (high[i] as number)));
    const under = open.map((i) => Math.max(0, low - (target.get(i) as number)));
    if (total(over) <= 1e-9 && total(under) <= 1e-9) {
      for (const i of open) out[i] = Math.floor((target.get(i) as number) + 1e-9);
      const fraction = (i: number) =>
        Math.max(0, Math.round(((target.get(i) as number) - (out[i] as number)) * 1e9));
      const order = open.sort((a, b) => fraction(b) - fraction(a) || a - b);
      let left = Math.round(sum - total(out));
      for (const i of order) {
        if (left > 0 && (out[i] as number) < (high[i] as number)) {
          out[i] = (out[i] as number) + 1;
          left--;
        }
      }
      return out;
    }
    open.forEach((i, at) => {
      if (total(over) >= total(under)) {
        if ((over[at] as number) > 0) out[i] = high[i] as number;
      } else if ((under[at] as number) > 0) {
        out[i] = Math.min(low, high[i] as number);
      }
    });
  }
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}

export const naiveAllocate: Part = {
  pyramid(nLayers, rows, { form, nRows, windowSize, beta, minRows }) {
    const mean = form === "exact" ? rows / nLayers : rows;
    const base = form === "exact" ? mean - windowSize : mean;
    const avail = nRows - windowSize;
    const capped = Math.min(2 * base - base / beta, avail);
    const last = capped === avail ? 2 * base - avail : base / beta;
    const slope = Array.from({ length: nLayers }, (_, l) =>
      nLayers === 1 ? base : capped - (l * (capped - last)) / (nLayers - 1),
    );
    if (form === "exact") {
      const shares = base <= 0 ? slope.map(() => mean) : slope.map((x) => x + windowSize);
      const low = Math.min(minRows, Math.floor(mean));
      return Uint32Array.from(naiveApportion(shares, rows, low, Array(nLayers).fill(nRows)));
    }
    const isPyramid = nRows >= capped && capped >= last && last >= windowSize;
    const clamp = (x: number) => Math.min(nRows, Math.max(Math.min(1, nRows), roundHalfEven(x)));
    return Uint32Array.from(slope, (x) => clamp(isPyramid ? x : mean));
  },

  split(scores, reserved, nFree, { alpha, guarantee }) {
    const nHeads = scores.length;
    const open = scores.flatMap((head, h) =>
      Array.from(head, (score, row) => ({ h, row, score })).filter(
        ({ row }) => reserved[h]?.includes(row) !== true,
      ),
    );
    open.sort((a, b) => byScore(a.score, b.score) || a.row - b.row || a.h - b.h);
    const nReserved = scores.map((_, h) => reserved[h]?.length ?? 0);
    const left = Math.min(nFree, open.length);
    const countOf = (rows: typeof open) =>
      nReserved.map((_, h) => total(rows.map((r) => +(r.h === h))));
    if (guarantee === "mixing") {
      const shares = countOf(open.slice(0, left)).map(
        (c) => c * (1 - alpha) + (alpha * left) / nHeads,
      );
      const high = scores.map((head, h) => head.length - (nReserved[h] as number));
      const out = naiveApportion(shares, left, 0, high);
      return Uint32Array.from(out, (n, h) => n + (nReserved[h] as number));
    }
    const mean = Math.floor((left + total(nReserved)) / nHeads);
    const nSafe = Math.max(1, Math.floor(mean * alpha));
    const safe = new Set<(typeof open)[number]>();
    for (const [h, n] of nReserved.entries()) {
      for (const row of open.filter((r) => r.h === h).slice(0, Math.max(0, nSafe - n))) {
        if (safe.size < left) safe.add(row);
      }
    }
    const others = open.filter((row) => !safe.has(row)).slice(0, left - safe.size);
    const counts = countOf([...safe, ...others]);
    return Uint32Array.from(counts, (n, h) => n + (nReserved[h] as number));
  },

  scoreUnits(scores, units, by) {
    return Float32Array.from({ length: units.length / 2 }, (_, i) => {
      const rows = [...scores.subarray(units[2 * i], units[2 * i + 1])];
      return total(rows) / (by === "mean" ? Math.max(1, rows.length) : 1);
    });
  },

  selectUnits(scores, units, nRows, budget, forced, fill) {
    const kept = new Set(forced);
    const rowsOf = (i: number) =>
      Array.from(
        { length: (units[2 * i + 1] as number) - (units[2 * i] as number) },
        (_, row) => (units[2 * i] as number) + row,
      );
    const limit = Math.max(Math.min(budget, nRows), forced.length);
    const ranked = Array.from(scores, (score, i) => ({ score, i }))
      .sort((a, b) => byScore(a.score, b.score) || a.i - b.i)
      .map(({ i }) => i);
    const longest = Math.max(0, ...ranked.map((i) => rowsOf(i).length));
    const most = fill === "floor" ? Math.floor((limit - kept.size) / longest) : ranked.length;
    let [best, nTaken, isStopped] = [-1, 0, false];
    for (const i of ranked) {
      if (nTaken >= most || isStopped) break;
      const more = rowsOf(i).filter((row) => !kept.has(row));
      if (kept.size + more.length <= limit) {
        for (const row of more) kept.add(row);
        nTaken++;
      } else {
        if (best < 0) best = i;
        isStopped = fill === "stop";
      }
    }
    if (fill === "floor") best = nTaken === 0 ? (ranked[0] ?? -1) : -1;
    if ((fill === "exact" || fill === "floor") && best >= 0) {
      for (const row of rowsOf(best)) if (kept.size < limit) kept.add(row);
    }
    return Uint32Array.from(kept).sort();
  },

  normPrefix(weights, nFirst, threshold) {
    const [head, tail] = [[...weights.slice(0, nFirst)], [...weights.slice(nFirst)].reverse()];
    const squares = [...head, ...tail].map((x) => x * x);
    const energy = (n: number) => total(squares.slice(0, n));
    const found = squares.findIndex(
      (_, i) => 1 - Math.sqrt(energy(i + 1) / energy(squares.length)) < threshold,
    );
    return found < 0 ? squares.length : found + 1;
  },

  randomScores(n, seed, stream) {
    const u64 = (x: bigint) => BigInt.asUintN(64, x);
    let state = (BigInt(seed) << 32n) | BigInt(stream);
    return Float32Array.from({ length: n }, () => {
      state = u64(state + 0x9e3779b97f4a7c15n);
      let z = u64((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
      z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
      return Number((z ^ (z >> 31n)) >> 40n) / 2 ** 24;
    });
  },

  carry(oldPositions, oldSums, positions, sums) {
    const old = new Map(
      Array.from(oldPositions, (position, i) => [position, oldSums[i] as number]),
    );
    return sums.map((sum, i) => sum + (old.get(positions[i] as number) ?? 0));
  },

  perQuery(sums, positions, nextPosition, nQueries) {
    return sums.map(
      (sum, i) => sum / Math.max(1, Math.min(nQueries, nextPosition - (positions[i] as number))),
    );
  },
};

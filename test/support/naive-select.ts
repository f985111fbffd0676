// The selection kernels by other means than the Rust ones: f64, whole sorts, no shortcuts. An oracle
// for them, and what unit tests run methods on.
import type { SelectKernels } from "../../src/compression/kernels.ts";
import { naiveStats } from "./naive-stats.ts";
import { naiveAllocate } from "./naive-allocate.ts";

export const naiveSelect: SelectKernels = {
  stats: naiveStats,

  ...naiveAllocate,

  groupReduce(scores, nHeads, nGroups, by) {
    const n = scores.length / nHeads;
    return Float32Array.from({ length: (nHeads / nGroups) * n }, (_, i) => {
      const [kvHead, row] = [Math.floor(i / n), i % n];
      const group = Array.from(
        { length: nGroups },
        (__, g) => scores[(kvHead * nGroups + g) * n + row] as number,
      );
      if (by === "max") return Math.max(...group);
      const sum = group.reduce((a, b) => a + b, 0);
      return by === "sum" ? sum : sum / nGroups;
    });
  },

  pool(scores, nRows, kernel, by) {
    const n = scores.length / nRows;
    const reach = (kernel - 1) / 2;
    return scores.map((_, i) => {
      const [row, col] = [Math.floor(i / n), i % n];
      const near = Array.from(scores.subarray(row * n, (row + 1) * n)).slice(
        Math.max(0, col - reach),
        col + reach + 1,
      );
      return by === "max" ? Math.max(...near) : near.reduce((a, b) => a + b, 0) / kernel;
    });
  },

  select(scores, budget, forced) {
    const isForced = new Set(forced);
    const order = Array.from(scores, (score, row) => ({
      row,
      score: isForced.has(row) ? Infinity : Number.isNaN(score) ? -Infinity : score,
      rank: isForced.has(row) ? 0 : Number.isNaN(score) ? 2 : 1,
    })).sort((a, b) => a.rank - b.rank || b.score - a.score || a.row - b.row);
    const nKept = Math.min(scores.length, Math.max(budget, forced.length));
    return Uint32Array.from(order.slice(0, nKept), ({ row }) => row).sort();
  },
};

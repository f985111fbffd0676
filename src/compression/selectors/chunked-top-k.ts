import type { LayerContext, Scores, Selector } from "../method.ts";
import { reserve } from "./reserve.ts";

/**
 * The best rows of each chunk of `chunkLength` rows. A chunk keeps what must stay and its share of
 * the rest by how many other rows it has; what shares leave over goes to the largest fractions.
 */
export function chunkedTopK(chunkLength: number): Selector {
  return {
    select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[] {
      return scores.perHead.map((values, head) => {
        const n = values.length;
        const nKept = Math.min(budget[head] ?? 0, n);
        const forced = reserve(context.forced[head] ?? new Uint32Array(0), scores, n, nKept);
        const parts = Array.from({ length: Math.ceil(n / chunkLength) }, (_, chunk) => {
          const begin = chunk * chunkLength;
          const end = Math.min(n, begin + chunkLength);
          const inside = forced.filter((row) => row >= begin && row < end);
          return { begin, end, forced: inside.map((row) => row - begin) };
        });
        const free = parts.map((part) => part.end - part.begin - part.forced.length);
        const shares = divide(Math.max(0, nKept - forced.length), free);
        const rows = parts.flatMap(({ begin, end, forced: inside }, chunk) => {
          const nChosen = inside.length + (shares[chunk] ?? 0);
          const chosen = context.kernels.select(values.slice(begin, end), nChosen, inside);
          return Array.from(chosen, (row) => begin + row);
        });
        return Uint32Array.from(rows);
      });
    },
  };
}

/** `total` in proportion to `sizes`, in integers of that sum; equal remainders: the first. */
function divide(total: number, sizes: readonly number[]): readonly number[] {
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  if (whole === 0) return sizes;
  const shares = sizes.map((size) => Math.floor((total * size) / whole));
  const remainder = (i: number): number => (total * (sizes[i] ?? 0)) % whole;
  const left = total - shares.reduce((sum, share) => sum + share, 0);
  const byRemainder = [...sizes.keys()].sort((a, b) => remainder(b) - remainder(a) || a - b);
  for (const i of byRemainder.slice(0, left)) shares[i] = (shares[i] ?? 0) + 1;
  return shares;
}

import type { Scores } from "../method.ts";

/**
 * Rows that stay before any score counts: `forced`, then sinks, then the newest, these two while
 * fewer than `budget`; ascending.
 */
export function reserve(
  forced: Uint32Array,
  { nSink, nRecent }: Pick<Scores, "nSink" | "nRecent">,
  nRows: number,
  budget: number,
): Uint32Array {
  const rows = new Set(forced);
  for (let row = 0; row < Math.min(nSink, nRows) && rows.size < budget; row++) rows.add(row);
  for (let i = 1; i <= Math.min(nRecent, nRows) && rows.size < budget; i++) rows.add(nRows - i);
  return Uint32Array.from(rows).sort();
}

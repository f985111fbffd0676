import type { LayerContext, Scorer, Scores } from "../method.ts";

/** The newer, the better; the first `nSink` rows stay. Row indices are exact in f32 up to 2^24. */
export function recencyScorer(nSink: number): Scorer {
  return {
    needs: { prefill: [], decode: [] },
    score: ({ rows }: LayerContext): Scores => ({
      perHead: Array.from(rows.length, (length) => Float32Array.from({ length }, (_, row) => row)),
      nSink,
      nRecent: 0,
    }),
  };
}

import type { LayerContext, Scores, Selector } from "../method.ts";
import { reserve } from "./reserve.ts";

export interface ChunkOptions {
  /** Rows. */
  readonly chunkSize: number;
  /** What is done with rows that make no whole chunk; `kvpress`: the window competes in chunks. */
  readonly fill: "exact" | "floor" | "kvpress";
  readonly aggregation: "sum" | "mean";
}

/**
 * The best runs of `chunkSize` rows, the same for all heads of a layer: a row's score is the sum over
 * the heads. What stays in any case lies outside the chunks at the end, and costs those nothing that
 * hold it. Fewer rows than a chunk has are chosen one by one.
 */
export function chunks(options: ChunkOptions): Selector {
  return {
    select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[] {
      const rows = sumOfHeads(context, scores);
      const nKept = Math.min(budget[0] ?? 0, rows.length);
      const forced = context.forced[0] ?? new Uint32Array(0);
      const reserved = reserve(forced, scores, rows.length, nKept);
      const { chunkSize, fill } = options;
      const isKvpress = fill === "kvpress";
      const nChunked = isKvpress
        ? rows.length
        : rows.length - Math.min(scores.nRecent, rows.length);
      if (nChunked < chunkSize) return [context.kernels.select(rows, nKept, reserved)];
      const { kernels } = context;
      const bounds = chunksOf(nChunked, chunkSize);
      // kvpress's forced rows score above all others, and so do the chunks that hold some.
      if (isKvpress) lift(rows, reserved, context.model.nKvHeads);
      const by = isKvpress ? "mean" : options.aggregation;
      const chunkScores = kernels.scoreUnits(rows, bounds, by);
      const [held, how] = isKvpress ? ([forced, "stop"] as const) : ([reserved, fill] as const);
      return [kernels.selectUnits(chunkScores, bounds, rows.length, nKept, held, how)];
    },
  };
}

/** One score per row for all heads, which hold the same rows. */
export function sumOfHeads({ kernels }: LayerContext, { perHead }: Scores): Float32Array {
  const [first = new Float32Array(0)] = perHead;
  const all = new Float32Array(perHead.length * first.length);
  for (const [head, ofHead] of perHead.entries()) all.set(ofHead, head * first.length);
  return kernels.groupReduce(all, perHead.length, perHead.length, "sum");
}

function chunksOf(nRows: number, chunkSize: number): Uint32Array {
  const nChunks = Math.ceil(nRows / chunkSize);
  return Uint32Array.from({ length: 2 * nChunks }, (_, edge) =>
    Math.min(nRows, Math.ceil(edge / 2) * chunkSize),
  );
}

function lift(rows: Float32Array, reserved: Uint32Array, nHeads: number): void {
  const above = rows.reduce((most, score) => Math.max(most, score), 0) + nHeads;
  for (const row of reserved) rows[row] = above;
}

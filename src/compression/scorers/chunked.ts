import type { LayerContext, Scorer, Scores, SignalName, Signals } from "../method.ts";

/** Scorers that see nothing but the rows can see each chunk as if it were all. */
const OF_ROWS: readonly SignalName[] = ["keys", "keysRaw", "values"];

/**
 * Scores each chunk of `chunkLength` rows with `inner`, as if the others were not there.
 * Only for scorers of keys and values; sinks and newest rows of a chunk are not kept as such.
 */
export function chunkedScorer(inner: Scorer, chunkLength: number): Scorer {
  return {
    needs: inner.needs,
    score(context: LayerContext): Scores {
      const longest = Math.max(0, ...context.rows.length);
      const perHead = Array.from(context.rows.length, (length) => new Float32Array(length));
      const notes = new Set<string>();
      for (let begin = 0; begin < longest; begin += chunkLength) {
        const scores = inner.score(chunkOf(context, begin, chunkLength));
        // A shorter head has no such chunk.
        scores.perHead.forEach((values, head) => {
          if (values.length > 0) perHead[head]?.set(values, begin);
        });
        for (const note of scores.notes ?? []) notes.add(note);
      }
      return { perHead, nSink: 0, nRecent: 0, notes: [...notes] };
    },
  };
}

function chunkOf(context: LayerContext, begin: number, chunkLength: number): LayerContext {
  const { rows } = context;
  const part = <Cells extends Float32Array | Uint32Array>(cells: Cells, head: number): Cells => {
    const width = cells.length / (rows.length[head] || 1);
    return cells.subarray(begin * width, (begin + chunkLength) * width) as Cells;
  };
  const positions = rows.positions.map(part);
  return {
    ...context,
    rows: { length: Uint32Array.from(positions, (ofHead) => ofHead.length), positions },
    signal<Name extends SignalName>(name: Name): Signals[Name] {
      const whole = context.signal(name);
      // Signals of rows are arrays per kv head; others pass as they are.
      if (!OF_ROWS.includes(name)) return whole;
      return (whole as Signals["keys"]).map(part) as unknown as Signals[Name];
    },
  };
}

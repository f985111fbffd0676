import type { LayerContext, Scores, Selector } from "../method.ts";
import type { Segment } from "../segments.ts";
import { sumOfHeads } from "./chunks.ts";

export interface ShotOptions {
  /** What happens when the next shot does not fit: the next that fits is taken, or none more. */
  readonly fill: "skip" | "stop";
  readonly nSink: number;
  /** The prompt's last segment stays if it is the question; where none is marked, the window. */
  readonly forcesQuestion: boolean;
  readonly forcesSystem: boolean;
}

/** Shots and stretches of unmarked text of one layer, and what stays beside them. */
interface Units {
  /** u32[nUnits, 2], rows; a unit whose rows have gone is empty. */
  readonly bounds: Uint32Array;
  /** Ascending, no more than the budget unless forced. */
  readonly reserved: Uint32Array;
}

/** f32[nUnits]: what decides between shots. */
export type UnitScorer = (
  context: LayerContext,
  scores: Scores,
  bounds: Uint32Array,
) => Float32Array;

/** The mean over a unit's rows of the sum over heads: neutral to its length. */
export const meanOfRows: UnitScorer = (context, scores, bounds) =>
  context.kernels.scoreUnits(sumOfHeads(context, scores), bounds, "mean");

export function hasShots({ sequence }: LayerContext): boolean {
  return sequence.segments.some(({ kind }) => kind === "shot");
}

/**
 * Whole shots, the same for all heads of a layer. A prompt without shots is chosen from row by row.
 */
export function shots(options: ShotOptions, scoreUnits: UnitScorer = meanOfRows): Selector {
  return {
    select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[] {
      const nKept = budget[0] ?? 0;
      const { bounds, reserved } = unitsOf(context, scores, options, nKept);
      if (!hasShots(context)) {
        return [context.kernels.select(sumOfHeads(context, scores), nKept, reserved)];
      }
      const unitScores = scoreUnits(context, scores, bounds);
      const nRows = context.rows.length[0] ?? 0;
      return [
        context.kernels.selectUnits(unitScores, bounds, nRows, nKept, reserved, options.fill),
      ];
    },
  };
}

/** Units of a layer; the same segments give the same number of them in every layer. */
export function unitsOf(
  context: LayerContext,
  scores: Scores,
  options: ShotOptions,
  budget: number,
): Units {
  const { segments } = context.sequence;
  const positions = context.rows.positions[0] ?? new Uint32Array(0);
  const n = positions.length;
  const last = segments.at(-1);
  const question = last?.kind === "question" ? last : undefined;
  const rangeOf = ({ begin, end }: Segment): [number, number] => [
    rowAt(positions, begin),
    rowAt(positions, end),
  ];
  const system = segments.filter(({ kind }) => options.forcesSystem && kind === "system");
  const firstAsked = question ? rangeOf(question)[0] : Math.max(0, n - scores.nRecent);
  const wanted = [
    n - 1,
    ...between(0, Math.min(options.nSink, n)),
    ...(options.forcesQuestion ? between(firstAsked, n).reverse() : []),
    ...system.flatMap((segment) => between(...rangeOf(segment))),
  ];
  const reserved = new Set(context.forced[0]);
  for (const row of wanted) if (row >= 0 && reserved.size < budget) reserved.add(row);
  const units = segments.filter((one) => !system.includes(one) && one !== question);
  return {
    bounds: Uint32Array.from(units.flatMap(rangeOf)),
    reserved: Uint32Array.from(reserved).sort(),
  };
}

function between(begin: number, end: number): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}

/** The first row at `position` or after it. */
function rowAt(positions: Uint32Array, position: number): number {
  const row = positions.findIndex((at) => at >= position);
  return row < 0 ? positions.length : row;
}

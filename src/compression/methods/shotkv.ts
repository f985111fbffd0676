// shotkv: whole examples of the prompt stay or go; the compressed prompt is frozen, and the answer's
// rows are evicted apart from it.
//
// Source: Liu et al. 2025, arXiv:2502.01941 v4 (no public code).
// Deviation: the paper leaves open which queries score (here the question's), what happens when a shot
// does not fit (the next is tried) and what stays in any case (question, sinks, system prompt); of the
// answer, a share of all its tokens so far stays, not of those left, which would shrink to nothing.
import { compose } from "../compose.ts";
import { defineMethod } from "../define-method.ts";
import { keepGenerated } from "../generated.ts";
import type { LayerContext, Mutation, Scores } from "../method.ts";
import { integer, oneOf, real } from "../parameters.ts";
import { accumulatedScorer } from "../scorers/accumulated.ts";
import { lastRowScorer } from "../scorers/last-row.ts";
import { windowScorer } from "../scorers/window.ts";
import { hasShots, shots } from "../selectors/shots.ts";
import { keepShotsOfAll } from "../shots-of-all.ts";
import { shotParameters } from "../shot-parameters.ts";

const unpooled = { kernelSize: 1, pooling: "avg", groupAgg: "sum" } as const;

export const shotkv = defineMethod({
  id: "shotkv",
  keeps: "whole examples of the prompt, by the question's attention",
  paper: "arXiv:2502.01941",
  parameters: {
    ...shotParameters,
    /** Queries that score: the question's, the last `windowSize`, or all of them. */
    scoredBy: oneOf(["question", "window", "all"], "question"),
    windowSize: integer({ default: 32, min: 1 }),
    /** `model`: one choice for all layers, by their summed scores. */
    across: oneOf(["layer", "model"], "layer"),
    /** Share of the generated tokens that stays; 1: all. */
    keepDecode: real({ default: 1, min: 0, max: 1 }),
    /** Decode steps between two evictions. */
    interval: integer({ default: 1, min: 1 }),
  },
  create: (options) => {
    const { scoredBy, windowSize, across, keepDecode, interval } = options;
    const inner =
      scoredBy === "all"
        ? accumulatedScorer({ recentShare: 0, isPerQuery: false, groupAgg: "sum" })
        : windowScorer({
            ...unpooled,
            windowSize: scoredBy === "question" ? "suffix" : windowSize,
          });
    const decode = keepDecode < 1 ? lastRowScorer.needs.decode : [];
    const score = (context: LayerContext): Scores => {
      const notes = hasShots(context) ? [] : ["no shots are marked: rows are chosen one by one"];
      return { ...inner.score(context), notes };
    };
    const scorer = { needs: { ...inner.needs, decode }, score };
    const parts = compose({
      scorer,
      selector: shots(options),
      capabilities: {
        raggedHeads: false,
        sharedAcrossHeads: true,
        freezesPrompt: keepDecode < 1,
      },
      remember: () => new Map(),
      schedule: { everySteps: keepDecode < 1 ? interval : 0 },
    });
    const onDecodeStep = (context: LayerContext): readonly Mutation[] => {
      const nKept = Math.max(1, Math.floor(keepDecode * (context.sequence.nGenerated ?? 0) + 1e-6));
      return keepGenerated(context, lastRowScorer.score(context).perHead, nKept, 1);
    };
    return {
      ...parts,
      ...(keepDecode < 1 && { onDecodeStep }),
      ...(across === "model" && keepShotsOfAll(scorer, options)),
    };
  },
});

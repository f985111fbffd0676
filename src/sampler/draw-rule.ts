// What an engine draws a token by before the host has seen its logits, and what it tells about it.
import type { Candidates } from "./candidates.ts";
import type { ResolvedSampling } from "./options.ts";

/** The most candidates that an engine looks at. */
export const MAX_CANDIDATES = 256;
/** Lower temperatures, so to speak greedy, are the host's: f32 has no room for logits over them. */
const MIN_TEMPERATURE = 2 ** -10;

/** How an engine draws: as exactly as f32 allows, which `certainToken` is judge of. */
export interface DrawRule {
  /** The n largest logits are drawn from and told, at most 256; 0: all are, in the order of ids. */
  readonly nCandidates: number;
  /**
   * Whether the others are out (top-k). If not, the candidates stand for all: `topP` is a share of
   * the probability of all, and without it they are drawn in the order of ids.
   */
  readonly isTopK: boolean;
  /** Whether there is no other token than the candidates. */
  readonly isWhole: boolean;
  /** 1: off. As in the sampler, of the probabilities before the temperature. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  /** At least 2^-10. */
  readonly temperature: number;
}

/** A choice that an engine made. NaN among the logits counts as -Infinity. */
export interface Drawn {
  readonly token: number;
  /** The largest logit. Where it is infinite, nothing else is of use. */
  readonly highest: number;
  /** Sum of e^(logit - highest) over all tokens; without candidates of e^((logit - highest) / T). */
  readonly total: number;
  /** Without candidates: that sum over the tokens before `token`, and its own part. */
  readonly before: number;
  readonly own: number;
  /** Exact: highest logit first, of equal ones the lower id. */
  readonly candidates: Candidates;
}

/** The rule for these options; null where a token hangs on more than an engine is told. */
export function drawRuleOf(options: ResolvedSampling, vocabSize: number): DrawRule | null {
  const { topP, minP, temperature } = options;
  const topK = options.topK < vocabSize ? options.topK : 0;
  const hasPenalty =
    options.repetitionPenalty !== 1 ||
    options.frequencyPenalty !== 0 ||
    options.presencePenalty !== 0;
  if (hasPenalty || topK > MAX_CANDIDATES || temperature < MIN_TEMPERATURE) return null;
  const isTopK = topK > 0;
  const isCut = topP < 1 || minP > 0;
  const nLooked = isCut ? Math.min(MAX_CANDIDATES, vocabSize) : 0;
  const nCandidates = isTopK ? topK : nLooked;
  return { nCandidates, isTopK, isWhole: nCandidates === vocabSize, topP, minP, temperature };
}

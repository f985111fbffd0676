// Every tolerance of the parity check, in one place, with where it comes from.
import type { Activations, CodecName } from "../engine/engine.ts";

/**
 * NMSE of logits after the last prompt token. q8: activations are rounded to int8 per block.
 * Measured on two models: at most 3e-11 and 1.8e-3.
 */
export const LAST_LOGITS_NMSE: Readonly<Record<Activations, number>> = { f32: 1e-6, q8: 5e-3 };

/**
 * NMSE over all positions of a toy. Toys have random weights, so rounding is felt more. Measured on
 * four architectures: at most 7e-12 and 3.2e-3.
 */
export const TOY_LOGITS_NMSE: Readonly<Record<Activations, number>> = { f32: 1e-8, q8: 1e-2 };

/**
 * NMSE of logits in f32 over a cache whose rows are rounded to f16, of models and toys. Measured on four
 * toys: at most 1.6e-6.
 */
export const HALF_ROWS_NMSE = 1e-4;

/** The bound on an NMSE of logits: `plain`, or what rounded rows allow. */
export function nmseBound(plain: number, codec: CodecName | undefined): number {
  return codec === undefined || codec === "f32" ? plain : Math.max(plain, HALF_ROWS_NMSE);
}

/**
 * Mean negative log-likelihood, relative. Rounded rows move each token's a little: measured 2.5e-4 over
 * 64 tokens with rows of f16.
 */
export function nllBound(codec: CodecName | undefined): number {
  return codec === undefined || codec === "f32" ? 1e-4 : 1e-3;
}

/** Perplexity in q8, relative, for prompts long enough to average over. */
export const PERPLEXITY_RELATIVE = 0.01;
export const PERPLEXITY_MIN_TOKENS = 500;

/** Logits. A golden choice closer than this may go either way; right f32 stays within 1e-3. */
export const GREEDY_MIN_MARGIN = 0.01;

/** The same where rows are rounded. */
export const ROUNDED_MIN_MARGIN = 0.1;

/** Margins below it decide nothing. */
export function minMargin(codec: CodecName | undefined): number {
  return codec === undefined || codec === "f32" ? GREEDY_MIN_MARGIN : ROUNDED_MIN_MARGIN;
}

/**
 * NMSE of the first logits after compression. Measured at most 2e-11 with equal kept sets; room is
 * left for sets that differ among near-equal scores.
 */
export const PRESSED_LOGITS_NMSE = 1e-4;

/** Units in the last place: one for a fused multiply-add. */
export const DEQUANT_MAX_ULP = 1;

/**
 * Kept sets: scores nearer to the cut than `noise * KEPT_SET_FACTOR` may fall on either side.
 * `noise` is how far the golden scores of two runs of the same code with another attention kernel
 * lie apart (golden README); another order of summation is allowed this many times as much.
 */
export const KEPT_SET_FACTOR = 4;

/** Share of golden positions that must be kept where the data hold no scores to judge by. */
export const KEPT_OVERLAP = 0.99;

// What a method is shown: the sequence with its segments, one layer's rows, its signals, its state.
import type { SelectKernels } from "../compression/kernels.ts";
import type {
  LayerContext,
  Method,
  MethodState,
  SequenceMeta,
  Signals,
} from "../compression/method.ts";
import { fillSegments, forcedRows, pastSegments, type Segment } from "../compression/segments.ts";
import { KvasirError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";

/**
 * The sequence when `nTokens` tokens are read after `seen` others.
 *
 * @param known Segments of earlier turns; null: nothing is known of them.
 * @param marks Of the tokens, as a prompt; null: they were read before and are read again.
 * @throws {KvasirError} `bad-option` for marks that are empty, overlap or lie outside.
 */
export function sequenceOf(
  known: readonly Segment[] | null,
  seen: number,
  nTokens: number,
  marks: readonly Segment[] | null,
): SequenceMeta {
  const end = seen + nTokens;
  if (marks === null) {
    const segments = pastSegments(known ?? [], end, false);
    return { seen, promptLength: nTokens, segments };
  }
  const past = known === null ? fillSegments([], 0, seen) : pastSegments(known, seen, true);
  return { seen, promptLength: nTokens, segments: [...past, ...fillSegments(marks, seen, end)] };
}

/** The same in the middle of the answer, when `seen` tokens have been read in all. */
export function stepSequence(prompt: SequenceMeta, seen: number): SequenceMeta {
  return {
    ...prompt,
    segments: pastSegments(prompt.segments, seen, false),
    nGenerated: seen - prompt.seen - prompt.promptLength,
  };
}

export interface ContextParts {
  readonly method: Method;
  readonly kernels: SelectKernels;
  readonly config: ModelConfig;
  readonly sequence: SequenceMeta;
  readonly state: MethodState;
  /** Default true. */
  readonly keepsNewest?: boolean | undefined;
}

/** @param positions Original positions of the layer's rows, per head. */
export function layerContext(
  { method, kernels, config, sequence, state, keepsNewest = true }: ContextParts,
  layer: number,
  positions: readonly Uint32Array[],
  budget: Uint32Array,
  signals: Partial<Signals>,
): LayerContext {
  const forced = positions.map((ofHead) => {
    const rows = new Set(forcedRows(sequence.segments, ofHead));
    if (keepsNewest && ofHead.length > 0) rows.add(ofHead.length - 1);
    return Uint32Array.from(rows);
  });
  return {
    phase: sequence.nGenerated === undefined ? "prefill" : "decode",
    ...{ layer, model: config, sequence, budget, forced, kernels, state },
    rows: { length: Uint32Array.from(positions, (ofHead) => ofHead.length), positions },
    signal(name) {
      const value = signals[name];
      if (value !== undefined) return value;
      throw new KvasirError(
        "unsupported-option",
        `Cannot compress with "${method.id}": its needs must name each signal, got "${name}"`,
      );
    },
  };
}

/** @throws {KvasirError} `bad-option` for a state that is not plain data. */
export function copyState(method: Method, state: MethodState): MethodState {
  try {
    return structuredClone(state);
  } catch (cause) {
    throw new KvasirError(
      "bad-option",
      `Cannot compress with "${method.id}": its state must be plain data, got what cannot be copied`,
      { cause },
    );
  }
}

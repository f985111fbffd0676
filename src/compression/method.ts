// The seam between the engine, which measures, and the cache, which obeys: a method decides. It gets
// signals in host memory and returns kept rows per (layer, kv head). It is pure and synchronous,
// imports neither engine nor cache, and touches no tensor: arithmetic goes through `SelectKernels`.
// Merging, aliasing and biasing rows are part of the interface and refused with a code so far.
import type { SelectKernels } from "./kernels.ts";
import type { Segment } from "./segments.ts";

export type Phase = "prefill" | "decode";

/** Attention summed over some queries: f32[nHeads, nRows], 0 past a head's length. */
export interface RowSums {
  readonly sums: Float32Array;
  /** Longest head, rows. */
  readonly nRows: number;
  readonly nQueries: number;
}

/** A norm of each row for each query head: f32[nHeads, nRows], 0 past a head's length. */
export interface RowNorms {
  readonly norms: Float32Array;
  /** Longest head, rows. */
  readonly nRows: number;
}

/** What the engine can measure (methods.md 0.4), by name. Arrays belong to the caller of `signal`. */
export interface Signals {
  /** Softmax rows of the newest query. */
  readonly lastRow: RowSums;
  /** The same over the newest `needs.window` queries. */
  readonly window: RowSums;
  /**
   * The same over all queries since the last run: in prefill those of the prompt, in decode those of
   * the steps since the prompt or the last run. A row's own query counts too.
   */
  readonly colSum: RowSums;
  /**
   * Of the same queries, less those at the first `needs.nSink` positions, before rotation and after
   * the q norm: mean f32[nHeads, headDim], covariance f32[nHeads, headDim, headDim] (divided by
   * nQueries, symmetric). All 0 without a query.
   */
  readonly queryStats: {
    readonly mean: Float32Array;
    readonly covariance: Float32Array;
    readonly nQueries: number;
  };
  /** Per kv head f32[nRows, headDim]; keys rotated. */
  readonly keys: readonly Float32Array[];
  /** Keys before rotation. */
  readonly keysRaw: readonly Float32Array[];
  readonly values: readonly Float32Array[];
  /** L1 norm of each value after its query head's part of the output projection, |W_o v|. */
  readonly valueOutputNorms: RowNorms;
  /** Layer input of the new tokens: f32[nTokens, hiddenSize]. */
  readonly hidden: Float32Array;
}

export type SignalName = keyof Signals;

/** Signals by phase; measured only where and when the method runs. */
export interface Needs {
  readonly prefill: readonly SignalName[];
  readonly decode: readonly SignalName[];
  /**
   * Queries of the signal `window`. `suffix`: the tokens of the prompt's question, at most 64, or the
   * last 32 where no question is marked.
   */
  readonly window?: number | "suffix";
  /** Positions 0 .. nSink - 1 are left out of `queryStats`. Default 0. */
  readonly nSink?: number;
}

/** When a method runs. */
export interface Schedule {
  /** `end`: when the prompt's rows are complete. `chunk`: after each chunk of the prompt, too. */
  readonly prefill: "never" | "end" | "chunk";
  /** Every n-th decode step; 0: never. */
  readonly everySteps: number;
  /** When a session would exceed what it may hold. */
  readonly onOverflow: boolean;
}

/** The model as methods see it; a `ModelConfig` is one. */
export interface ModelMeta {
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Factor of attention's logits, 1 / sqrt(headDim) in most models. */
  readonly attentionScale: number;
  readonly hasQkNorm: boolean;
  readonly ropeStyle: "interleaved" | "half";
  /** `window` > 0: a sliding-window layer, bounded by itself and never evicted from. */
  readonly layers: readonly LayerMeta[];
}

export interface LayerMeta {
  readonly window: number;
  /** Angle of pair i: position * base^(-2i/headDim) / factors[i] / scale. */
  readonly rope: {
    readonly base: number;
    readonly scale?: number;
    readonly factors?: Float32Array;
  };
}

/** Layers that share: each function gives the owner of layer `l`, `l` itself where it owns. */
export interface LayerMap {
  /** Whose rows the layer attends to; it stores none of its own. */
  storageOf?(layer: number): number;
  /** Whose kept positions the layer takes over; nothing is measured for it. */
  keepOf?(layer: number): number;
}

export interface SequenceMeta {
  /** Tokens seen before this prompt. */
  readonly seen: number;
  /** New tokens of this prompt. In an overflow: the newest tokens, which are read again. */
  readonly promptLength: number;
  /**
   * Over all tokens, without gaps: earlier turns first, then this prompt's segments, then what was
   * generated since; positions are absolute.
   */
  readonly segments: readonly Segment[];
  /** Tokens generated since this prompt. Absent in prefill. */
  readonly nGenerated?: number;
}

/** Rows of one layer. */
export interface RowsView {
  /** u32[nKvHeads]. */
  readonly length: Uint32Array;
  /** Per kv head u32[length], ascending: original positions. */
  readonly positions: readonly Uint32Array[];
}

/**
 * A value per sequence, made by `onSequence` and seen by no other sequence. Plain data that
 * `structuredClone` can copy: a prompt that is aborted gives back the state from before it.
 */
export type MethodState = unknown;

export interface LayerContext<State = MethodState> {
  readonly phase: Phase;
  readonly layer: number;
  readonly model: ModelMeta;
  readonly sequence: SequenceMeta;
  readonly rows: RowsView;
  /** u32[nKvHeads]: rows that may stay, forced rows included. A method may move rows between heads. */
  readonly budget: Uint32Array;
  /** Per kv head, ascending row indices that stay whatever they score: the newest, marked segments. */
  readonly forced: readonly Uint32Array[];
  readonly kernels: SelectKernels;
  readonly state: State;
  /** A signal that `needs` names. */
  signal<Name extends SignalName>(name: Name): Signals[Name];
}

/** What a method wants done. `keep`, `rerotate` and `noop` are applied today. */
export type Mutation =
  | {
      readonly kind: "keep";
      readonly layer: number;
      /** Per kv head, or one list for all heads: strictly increasing row indices. */
      readonly rows: readonly Uint32Array[];
    }
  | {
      readonly kind: "merge";
      readonly layer: number;
      readonly head: number;
      readonly from: Uint32Array;
      readonly into: Uint32Array;
      readonly weight: Float32Array;
    }
  | {
      readonly kind: "rerotate";
      readonly layer: number;
      /**
       * Where the rows that stay are rotated to, per kv head or one list for all: strictly
       * increasing, none after the newest token. `RowsView.positions` stay the original ones.
       */
      readonly positions: readonly Uint32Array[];
    }
  | { readonly kind: "alias"; readonly layer: number; readonly storageOf: number }
  | {
      readonly kind: "bias";
      readonly layer: number;
      readonly head: number;
      readonly row: number;
      /** Added to the row's attention logit. */
      readonly logWeight: number;
    }
  | { readonly kind: "noop"; readonly reason: string };

export interface Capabilities {
  /** Heads of a layer may keep different numbers of rows. */
  readonly raggedHeads: boolean;
  /** All heads of a layer keep the same rows: what joint latents and paged stores ask for. */
  readonly sharedAcrossHeads: boolean;
  readonly touchesStorage: boolean;
  readonly changesPositions: boolean;
  /** Scores depend on the question: what is kept serves no other one. */
  readonly queryAware: boolean;
  readonly needsCalibration: boolean;
  /** `none`: a budget is refused; `optional`: a cap on what the method chooses. */
  readonly budget: "required" | "optional" | "none";
  /** The budget is the prompt's: the method limits the rows of the answer by itself. Default false. */
  readonly freezesPrompt?: boolean;
}

/** A reason why a method cannot run on a model. */
export interface Issue {
  readonly what: string;
}

export interface MethodReport {
  /** Facts worth telling, in plain words: underfull budgets, fallbacks taken. */
  readonly notes: readonly string[];
}

/** Integer budgets before any score exists, and their division among heads when scores do. */
export interface Allocator {
  /** `model`: wants the scores of all layers at once, so prefill pays the full cache's peak. */
  readonly scope: "layer" | "model";
  /** u32[nLayers][nKvHeads] with the exact sum `total`, no cell above `nRows`. */
  plan(request: AllocationRequest): Uint32Array[];
  /** Moves a layer's rows between its heads: same sum. */
  split?(context: LayerContext, scores: Scores): Uint32Array;
}

export interface AllocationRequest {
  /** Layers that evict. */
  readonly nLayers: number;
  readonly nKvHeads: number;
  /** Most rows that a head can use. */
  readonly nRows: number;
  /** Fewest rows that a head must get. */
  readonly minRows: number;
  /** Rows of all layers and heads together; minRows and nRows per cell always allow it. */
  readonly total: number;
  /** All heads of a layer get the same number. */
  readonly isShared: boolean;
  /** The fraction behind `total`, where one was given, before any rounding. */
  readonly keep?: number;
  readonly kernels: SelectKernels;
}

export interface Scores {
  /** Per kv head, or one for all heads of the layer: f32[length], higher stays. */
  readonly perHead: readonly Float32Array[];
  /** Oldest and newest rows that stay before any score counts, as far as the budget reaches. */
  readonly nSink: number;
  readonly nRecent: number;
  /** Facts for the report: fallbacks taken, models that the scores tell little about. */
  readonly notes?: readonly string[];
}

export interface Scorer {
  readonly needs: Needs;
  /** Fewest rows per kv head that make sense of the scores. Default 1. */
  readonly minRows?: number;
  score(context: LayerContext): Scores;
}

export interface Selector {
  /** What it needs besides the scores. Default nothing. */
  readonly signals?: readonly SignalName[];
  /** Per kv head, or one for all: strictly increasing row indices, `budget[h]` of them. */
  select(context: LayerContext, scores: Scores, budget: Uint32Array): readonly Uint32Array[];
}

export interface Method<State = MethodState> {
  readonly id: string;
  /** Raised when the same inputs may give other rows. */
  readonly version: number;
  /** The method's parameters as used, defaults filled in. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly needs: Needs;
  readonly scope: "layer" | "model";
  readonly schedule: Schedule;
  readonly capabilities: Capabilities;
  /** Fewest rows per kv head that `{ tokens }` and `{ bytes }` must leave to make sense. */
  readonly minRows: number;
  readonly allocator: Allocator;
  /** Default: every layer owns its rows and its choice. */
  readonly layerMap?: LayerMap;
  /** Layers that the method never drops rows from; their budget is not given to others. */
  skips?(layer: number, model: ModelMeta): boolean;
  validate(model: ModelMeta): readonly Issue[];
  /** Fresh state, never shared between sequences. */
  onSequence(sequence: SequenceMeta): State;
  /** Scope `layer`: a layer's prompt rows are complete. */
  onPrefillLayer?(context: LayerContext<State>): readonly Mutation[];
  /** Scope `model`: all layers' rows are complete. */
  onPrefillEnd?(contexts: readonly LayerContext<State>[]): readonly Mutation[];
  /** A layer's row of a new token has been appended. */
  onDecodeStep?(context: LayerContext<State>): readonly Mutation[];
  report(state: State): MethodReport;
}

// What compress.ts offers to prefill.ts, decode.ts and session.ts, and what it remembers. Types only.
import type { KvCache } from "./cache/kv-cache.ts";
import type { OverflowCause } from "./compress-plan.ts";
import type { SelectKernels } from "./compression/kernels.ts";
import type { KeepRequest } from "./compression/keep-lists.ts";
import type {
  LayerContext,
  Method,
  MethodState,
  Mutation,
  SequenceMeta,
  Signals,
} from "./compression/method.ts";
import type { Segment } from "./compression/segments.ts";
import type { Engine, EngineBuffer, Weight } from "./engine/engine.ts";
import type { LayerQueries, Measurer } from "./signals/measure.ts";
import type { ModelConfig } from "./model/config.ts";
import type { ColumnSums } from "./model/transformer.ts";
import type { MeasureEngine } from "./signals/read-signals.ts";
import type { Budget, CompressionReport, TurnPolicy } from "./types.ts";

export interface CompressorOptions {
  readonly engine: MeasureEngine & Pick<Engine, "isDeferred">;
  readonly cache: KvCache;
  readonly method: Method;
  readonly budget?: Budget | undefined;
  readonly kernels: SelectKernels;
  readonly config: ModelConfig;
  /** The output projection of layer `l`; without it `valueOutputNorms` is refused. */
  readonly outputWeight?: (l: number) => Weight;
  /** Default: `each` for methods that work in decode, else `first`. */
  readonly turnPolicy?: TurnPolicy | undefined;
  /**
   * Whether the newest row stays whatever it scores. Default true; false is what implementations
   * do that score it like any other, and what comparing with them takes.
   */
  readonly keepsNewest?: boolean | undefined;
}

/** What a decode step calls when its token has gone through layer `l`. */
export interface StepProbe {
  layer(l: number, queries: LayerQueries): void;
}

/** What holds for a sequence over all turns. What is summed up in an answer ends with it. */
export interface CompressorMemory {
  /** The method's own. */
  readonly state: MethodState;
  /** null: nothing was read. */
  readonly sequence: SequenceMeta | null;
  /** Decode steps so far. */
  readonly nSteps: number;
  readonly report: CompressionReport;
}

export interface Compressor {
  /** The method sees all layers at once: nothing shrinks before `finish`. */
  readonly needsAllLayers: boolean;
  /**
   * Decides the budget of a prompt of `nTokens` more tokens, and allocates what measuring needs.
   * @param cause Of an overflow: the tokens are the newest, read again.
   * @throws {KvasirError} `bad-option` (bytes too few for this prompt, marks), `out-of-memory`.
   */
  planPrefill(nTokens: number, marks?: readonly Segment[], cause?: OverflowCause): void;
  /** Whether layer `l` is to be staged: its rows will be fewer than they are. */
  stages(l: number): boolean;
  /** How many of the prompt's last queries `compressLayer` wants for layer `l`. */
  wantsQueries(l: number): number;
  /**
   * Where the attention of the next chunk of layer `l` must put its column sums (`Engine.attendAndSum`);
   * undefined: nowhere. Who does not ask has them measured by `chunk`, at a second pass's cost.
   */
  columnSums(l: number): ColumnSums | undefined;
  /**
   * Whether the next layer may be read while rows of one are chosen, on an engine that computes
   * meanwhile. Not where bytes are promised: two layers are then held whole.
   */
  readonly overlapsLayers: boolean;
  /** Whether `compressLayer` needs no more than a layer's rows and newest queries, not `chunk`. */
  readonly asksRowsOnly: boolean;
  /** A chunk of the prompt went through layer `l`; its queries are still in the workspace. */
  chunk(l: number, queries: LayerQueries): void;
  /**
   * Rows of `cache.openRows(l)` to keep, per kv head, for `closeLayer`; null: all.
   *
   * @param queries As `qkv` in `Engine.attend`: the newest `nQueries` tokens, rotated.
   * @param firstPosition Position of the first of them.
   */
  compressLayer(
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<readonly Uint32Array[] | null>;
  /** Ends the prompt: applies what a method with all layers in view decides; frees signals. */
  finish(): void;
  /** Frees signals and forgets the prompt, the state is as before it; nothing if there is none. */
  release(): void;
  /** Before a token is read: what is to be called for each layer; null: the method has no part. */
  beginStep(): StepProbe | null;
  /** After a token was read: whether rows were dropped, in all layers or in none. */
  finishStep(): Promise<boolean>;
  /** Why `nMore` tokens cannot be read before rows are dropped; null: they can. */
  overflow(nMore: number): OverflowCause | null;
  /** Whether rows can be dropped then, and how many of the newest tokens are to be read again. */
  nReread(): number | null;
  /** On the last run. */
  report(): CompressionReport;
  /** Frees everything. */
  dispose(): void;
}

/** One whose state can be taken out and put back: for forks and snapshots. */
export interface SequenceCompressor extends Compressor {
  /** A copy of what holds for the sequence; between prompts. */
  memory(): CompressorMemory;
  /** Goes on where `memory` was taken, with the same method, budget and rows. */
  recall(memory: CompressorMemory): void;
}

/** Everything that holds for one prompt while it is read. */
export interface Prompt {
  readonly sequence: SequenceMeta;
  readonly cause: OverflowCause | undefined;
  readonly stateBefore: MethodState;
  readonly wasFirst: boolean;
  readonly budget: readonly Uint32Array[];
  readonly runs: readonly boolean[];
  /** Queries of the signal `window`; 0 where it is not needed. */
  readonly windowSize: number;
  /** null where nothing is measured. */
  readonly measurer: Measurer | null;
  /** Of methods that look at all layers at once, with their signals. */
  readonly contexts: LayerContext[];
  readonly signals: Map<number, Partial<Signals>>;
  /** Per layer that was asked about: the share of the observed attention that stays. */
  readonly keptMass: Map<number, number | null>;
  readonly requests: Map<number, KeepRequest>;
  readonly mutations: Mutation[];
  readonly lists: Map<number, readonly Uint32Array[]>;
  /** Original positions of the rows that stay, for layers that follow. */
  readonly positions: Map<number, readonly Uint32Array[]>;
}

/** Before the first prompt. */
export const NOTHING_KNOWN: CompressorMemory = {
  state: null,
  sequence: null,
  nSteps: 0,
  report: { reason: null, overflowRows: 0, keptMass: [], notes: [] },
};

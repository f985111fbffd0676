// Asks the method at the phase boundaries and makes its answers keep lists: the only file that knows
// both the cache and the method. The engine measures, the method decides, the cache obeys.
//
//   planPrefill(n) -> per layer: openLayer, chunks, compressLayer -> closeLayer -> finish()
//   beginStep() -> probe.layer per layer -> finishStep()
//
// After an abort or an error, `release` instead of `finish`; a step that failed is begun again.
import { type OverflowCause, Planner } from "./compress-plan.ts";
import { checkMethod } from "./compression/check-method.ts";
import {
  type KeepLists,
  type KeepRequest,
  overflowOf,
  toKeepLists,
  toTurns,
  type Turns,
} from "./compression/keep-lists.ts";
import type { LayerContext, Mutation, SequenceMeta, Signals } from "./compression/method.ts";
import type { Segment } from "./compression/segments.ts";
import type { EngineBuffer } from "./engine/engine.ts";
import { assert } from "./errors.ts";
import {
  type LayerQueries,
  type MeasureParts,
  measuredInDecode,
  measuredInPrefill,
  Measurer,
} from "./signals/measure.ts";
import { StepMeasurer } from "./signals/measure-step.ts";
import {
  type CompressorMemory,
  type CompressorOptions,
  NOTHING_KNOWN,
  type Prompt,
  type SequenceCompressor,
  type StepProbe,
} from "./compressor.ts";
import {
  consecutive,
  followLeader,
  keptMass,
  keptMasses,
  type KeptMasses,
  newest,
} from "./kept-rows.ts";
import { copyState, layerContext, sequenceOf, stepSequence } from "./signals/method-context.ts";
import type { ColumnSums } from "./model/transformer.ts";
import type { CompressionReport } from "./types.ts";

export type { Compressor, CompressorOptions, StepProbe } from "./compressor.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** @throws {KvasirError} `bad-option`, `unsupported-option`: what cannot work for any prompt. */
export function createCompressor(options: CompressorOptions): SequenceCompressor {
  const { method, budget, config, outputWeight } = options;
  const isThere = (name: string): boolean =>
    name !== "valueOutputNorms" || outputWeight !== undefined;
  checkMethod(method, budget, config, {
    prefill: measuredInPrefill.filter(isThere),
    decode: measuredInDecode.filter(isThere),
  });
  return new MethodCompressor(options);
}

class MethodCompressor implements SequenceCompressor {
  readonly needsAllLayers: boolean;
  readonly overlapsLayers: boolean;
  readonly asksRowsOnly: boolean;
  readonly #options: CompressorOptions;
  readonly #planner: Planner;
  readonly #steps: StepMeasurer;
  #prompt: Prompt | null = null;
  /** What the layer before was measured for: methods see layers in order. */
  #reading: Promise<unknown> | undefined;
  #memory: Mutable<CompressorMemory> = { ...NOTHING_KNOWN };
  /** Of the answer; null: not decided since the prompt. */
  #stepBudget: readonly Uint32Array[] | null = null;

  constructor(options: CompressorOptions) {
    this.#options = options;
    this.needsAllLayers = options.method.scope === "model";
    const isInBytes = options.budget !== undefined && "bytes" in options.budget;
    this.overlapsLayers = options.engine.isDeferred && !isInBytes;
    const { prefill } = options.method.needs;
    this.asksRowsOnly = !prefill.includes("colSum") && !prefill.includes("queryStats");
    this.#planner = new Planner(options);
    this.#steps = new StepMeasurer(this.#measureParts());
  }

  planPrefill(nTokens: number, marks: readonly Segment[] = [], cause?: OverflowCause): void {
    this.release();
    const { cache, method, config } = this.#options;
    const planner = this.#planner;
    const { seen } = cache;
    const wasFirst = seen === 0 || this.#memory.sequence === null;
    if (wasFirst) this.#forget();
    const known = this.#memory.sequence?.segments ?? null;
    const sequence = sequenceOf(known, seen, nTokens, cause === undefined ? marks : null);
    const { segments } = sequence;
    const lengths = config.layers.map((_, l) => cache.layer(l).length.map((n) => n + nTokens));
    const windowSize = planner.windowSize(segments, nTokens, lengths);
    const isDue = cause !== undefined || planner.isDue(seen);
    const scratchBytes = planner.scratchBytes(lengths, Math.max(windowSize, 1));
    const request = { lengths, nTokens: seen + nTokens, segments, scratchBytes };
    const budget =
      cause === undefined ? planner.budget(request) : planner.smallBudget(request, cause);
    const owner = (l: number): number => method.layerMap?.keepOf?.(l) ?? l;
    const runs = lengths.map(
      (length, l) => isDue && planner.runs(owner(l), length, budget[owner(l)]),
    );
    if (wasFirst) this.#memory.state = method.onSequence(sequence);
    const isMeasured = runs.includes(true) && method.needs.prefill.length > 0;
    const longest = Math.max(0, ...lengths.flatMap((length) => [...length]));
    this.#prompt = {
      ...{ sequence, cause, wasFirst, budget, runs, windowSize },
      stateBefore: runs.includes(true) ? copyState(method, this.#memory.state) : this.#memory.state,
      measurer: isMeasured ? new Measurer(this.#measureParts(), longest, windowSize) : null,
      contexts: [],
      signals: new Map(),
      keptMass: new Map(),
      requests: new Map(),
      mutations: [],
      lists: new Map(),
      positions: new Map(),
    };
  }

  stages(l: number): boolean {
    const { runs, sequence } = this.#planned();
    const isShrunk = runs[l] === true || this.#trims(l, sequence.promptLength);
    return !this.needsAllLayers && isShrunk;
  }

  wantsQueries(l: number): number {
    const { windowSize, measurer } = this.#planned();
    // The newest query serves `lastRow`.
    return this.#measures(l) && measurer !== null ? Math.max(windowSize, 1) : 0;
  }

  columnSums(l: number): ColumnSums | undefined {
    return this.#measures(l) ? this.#planned().measurer?.columnSums(l) : undefined;
  }

  chunk(l: number, queries: LayerQueries): void {
    if (this.#measures(l)) this.#planned().measurer?.chunk(l, queries);
  }

  async compressLayer(
    l: number,
    queries: EngineBuffer,
    firstPosition: number,
    nQueries: number,
  ): Promise<readonly Uint32Array[] | null> {
    const prompt = this.#planned();
    const { method, cache } = this.#options;
    if (this.#trims(l, 0)) {
      const limit = this.#planner.limit(l, prompt.cause);
      prompt.lists.set(l, newest(cache.knownPositions(l), limit));
    }
    if (this.#measures(l)) {
      const before = this.#reading;
      const reading = prompt.measurer?.read(l, queries, firstPosition, nQueries);
      this.#reading = reading;
      await before;
      const signals = (await reading) ?? {};
      const context = this.#context(l, prompt.sequence, prompt.budget, signals);
      const { rows, budget, forced } = context;
      prompt.requests.set(l, { rows, budget, forced });
      if (this.needsAllLayers) {
        prompt.contexts.push(context);
        prompt.signals.set(l, signals);
      } else {
        // Signals of a layer may be as large as its rows: they go with it.
        this.#ask(method.onPrefillLayer?.(context) ?? [], l);
        prompt.keptMass.set(l, keptMass(signals, prompt.lists.get(l), rows.length.length));
      }
    }
    if (this.needsAllLayers) return null;
    this.#follow(l);
    return prompt.lists.get(l) ?? null;
  }

  finish(): void {
    const { method, cache, config } = this.#options;
    const prompt = this.#planned();
    if (this.needsAllLayers) {
      if (prompt.contexts.length > 0) this.#ask(method.onPrefillEnd?.(prompt.contexts) ?? []);
      for (const l of config.layers.keys()) this.#follow(l);
      for (const [l, keep] of prompt.lists) cache.compact(l, keep);
    }
    const turns = toTurns(method, prompt.mutations, prompt.requests, prompt.lists, cache.seen);
    this.#turn(turns);
    if (prompt.cause === "context") this.#turn(this.#consecutiveTurns(turns));
    this.#memory.sequence = prompt.cause === undefined ? prompt.sequence : this.#memory.sequence;
    if (prompt.runs.includes(true)) {
      const reason = prompt.cause === undefined ? "prompt" : "overflow";
      const { keptMass, signals, lists } = prompt;
      const masses = this.needsAllLayers ? this.#massesOf(signals, lists) : keptMass;
      this.#reportOn(reason, prompt.requests, masses);
    }
    this.#stepBudget = null;
    this.#steps.restart();
    this.#free();
  }

  release(): void {
    const prompt = this.#prompt;
    if (prompt === null) return;
    this.#memory.state = prompt.stateBefore;
    if (prompt.wasFirst) this.#forget();
    this.#free();
  }

  beginStep(): StepProbe | null {
    if (!this.#planner.evictsSteps() || this.#memory.sequence === null) return null;
    const { cache, method, config } = this.#options;
    const isDue = (this.#memory.nSteps + 1) % method.schedule.everySteps === 0;
    return {
      layer: (l, queries) => {
        if (l === 0) {
          const capacity = config.layers.flatMap((_, i) => [...cache.layer(i).capacity]);
          this.#steps.begin(Math.max(...capacity), isDue);
        }
        this.#steps.layer(l, queries);
      },
    };
  }

  async finishStep(): Promise<boolean> {
    const { method, cache, config } = this.#options;
    const { everySteps } = method.schedule;
    if (!this.#planner.evictsSteps() || this.#memory.sequence === null) return false;
    this.#memory.nSteps++;
    if (this.#memory.nSteps % everySteps !== 0) return false;
    const sequence = stepSequence(this.#memory.sequence, cache.seen);
    const budget = (this.#stepBudget ??= this.#planner.stepBudget(sequence));
    const nExtra = this.#planner.stepExtra(sequence);
    const requests = new Map<number, KeepRequest>();
    const contexts: LayerContext[] = [];
    const signals = new Map<number, Partial<Signals>>();
    for (const l of config.layers.keys()) {
      if (!this.#planner.evicts(l)) continue;
      const measured = await this.#steps.read(l);
      const context = this.#context(l, sequence, budget, measured);
      contexts.push(context);
      signals.set(l, measured);
      requests.set(l, { ...context, nExtra });
    }
    // From here on nothing is awaited: all layers of the step are evicted from, or none.
    const mutations = contexts.flatMap((context) => method.onDecodeStep?.(context) ?? []);
    const lists = toKeepLists(method, mutations, requests);
    const turns = toTurns(method, mutations, requests, lists, cache.seen);
    for (const [l, keep] of lists) cache.compact(l, keep);
    this.#turn(turns);
    this.#steps.restart();
    if (lists.size === 0) return false;
    this.#reportOn("step", requests, this.#massesOf(signals, lists));
    return true;
  }

  overflow(nMore: number): OverflowCause | null {
    return this.#planner.overflow(nMore);
  }

  nReread(): number | null {
    const { method, cache, budget } = this.#options;
    const hook = this.needsAllLayers ? "onPrefillEnd" : "onPrefillLayer";
    const isAble = method.schedule.onOverflow && hook in method && budget !== undefined;
    return isAble ? Math.min(this.#planner.nReread(), cache.seen) : null;
  }

  report(): CompressionReport {
    return this.#memory.report;
  }

  memory(): CompressorMemory {
    return { ...this.#memory, state: copyState(this.#options.method, this.#memory.state) };
  }

  recall(memory: CompressorMemory): void {
    this.#memory = { ...memory };
  }

  dispose(): void {
    this.release();
    this.#steps.free();
  }

  #planned(): Prompt {
    assert(this.#prompt !== null, "planPrefill comes first");
    return this.#prompt;
  }

  /** Whether the method looks at layer `l` itself. */
  #measures(l: number): boolean {
    const { method } = this.#options;
    const owner = method.layerMap?.keepOf?.(l) ?? l;
    return owner === l && this.#planned().runs[l] === true;
  }

  /** Layers that the method leaves alone lose their oldest rows where they have to. */
  #trims(l: number, nMore: number): boolean {
    const limit = this.#planner.limit(l, this.#planned().cause);
    return this.#options.cache.openRows(l).length.some((n) => n + nMore > limit);
  }

  /** Notes what the method answered on the layers asked about since. */
  #ask(mutations: readonly Mutation[], layer?: number): void {
    const { method } = this.#options;
    const { requests, lists, mutations: all } = this.#planned();
    const asked =
      layer === undefined ? requests : new Map([...requests].filter(([l]) => l === layer));
    for (const [l, keep] of toKeepLists(method, mutations, asked)) lists.set(l, keep);
    all.push(...mutations);
  }

  /** A layer whose choice is another's keeps the rows of the same positions. */
  #follow(l: number): void {
    const { method, cache } = this.#options;
    const { lists, positions, runs } = this.#planned();
    const owner = method.layerMap?.keepOf?.(l) ?? l;
    if (runs[l] !== true || method.layerMap?.keepOf === undefined) return;
    const known = cache.knownPositions(l);
    if (owner === l) {
      const keep = lists.get(l);
      const kept = known.map((list, h) => keep?.[h]?.map((row) => list[row] ?? 0) ?? list);
      positions.set(l, kept);
      return;
    }
    const kept = positions.get(owner);
    if (kept !== undefined) lists.set(l, followLeader(known, kept));
  }

  #context(
    l: number,
    sequence: SequenceMeta,
    budget: readonly Uint32Array[],
    signals: Partial<Signals>,
  ): LayerContext {
    const { cache, config } = this.#options;
    const positions = cache.knownPositions(l);
    const own = budget[l] ?? new Uint32Array(config.nKvHeads);
    const parts = { ...this.#options, sequence, state: this.#memory.state };
    return layerContext(parts, l, positions, own, signals);
  }

  #turn(turns: Turns): void {
    const { cache, config } = this.#options;
    for (const [l, positions] of turns) {
      const rope = config.layers[l]?.rope;
      if (rope !== undefined) cache.rerotate(l, positions, rope, config.ropeStyle);
    }
  }

  /** Rows next to each other up to the newest, in all layers that look at all rows. */
  #consecutiveTurns(done: Turns): Turns {
    const { cache, config } = this.#options;
    const layers = [...config.layers.keys()].filter(
      (l) => config.layers[l]?.window === 0 && !done.has(l),
    );
    return new Map(layers.map((l) => [l, consecutive(cache.layer(l).length, cache.seen)]));
  }

  #massesOf(signals: ReadonlyMap<number, Partial<Signals>>, lists: KeepLists): KeptMasses {
    return keptMasses(signals, lists, this.#options.config.nKvHeads);
  }

  #reportOn(
    reason: "prompt" | "overflow" | "step",
    requests: ReadonlyMap<number, KeepRequest>,
    masses: KeptMasses,
  ): void {
    const { method, config } = this.#options;
    const overflowRows = [...requests.values()].reduce((sum, one) => sum + overflowOf(one), 0);
    const keptMass = Array.from(config.layers.keys(), (l) => masses.get(l) ?? null);
    const { notes } = method.report(this.#memory.state);
    this.#memory.report = { reason, overflowRows, keptMass, notes };
  }

  #measureParts(): MeasureParts {
    const { engine, cache, config, outputWeight } = this.#options;
    return { engine, cache, config, needs: this.#options.method.needs, outputWeight };
  }

  #forget(): void {
    this.#memory = { ...NOTHING_KNOWN };
    this.#stepBudget = null;
    this.#steps.restart();
  }

  #free(): void {
    this.#prompt?.measurer?.free();
    this.#prompt = null;
  }
}

// One method over one cache, as a session holds them: prompts and decode steps one after the other,
// a reset, a prompt that breaks off; with every kept position in view. The cases are derived from
// what a method declares, so that a new one is covered without being named.
import { createCompressor } from "../../src/compress.ts";
import type { Method } from "../../src/compression/method.ts";
import { createMethod } from "../../src/compression/registry.ts";
import type { Segment } from "../../src/compression/segments.ts";
import type { Compressor } from "../../src/compressor.ts";
import type { EngineBuffer } from "../../src/engine/engine.ts";
import { KvasirError } from "../../src/errors.ts";
import { load } from "../../src/load.ts";
import { LocalModel } from "../../src/session/local-model.ts";
import { prefill } from "../../src/prefill.ts";
import { nodeRuntime } from "../../src/runtime/node.ts";
import type { Budget } from "../../src/types.ts";
import { Sequence, type SequenceOptions } from "./sequence.ts";
import { type Toy, toyBytes } from "./toys.ts";

/** A method with its parameters. */
export interface Spec {
  readonly name: string;
  readonly [parameter: string]: unknown;
}

/** Parameters that 60 tokens leave something to choose with, for methods that declare them. */
const SMALL = {
  windowSize: 4,
  lagSize: 8,
  chunkLength: 16,
  decodeRows: 2,
  decodeRecent: 1,
  minRecent: 4,
  nRecent: 4,
  threshold: 0.5,
};
/** Those that make a method drop rows of the answer too. */
const IN_DECODE = { interval: 1, keepDecode: 0.5 };
/** Those that leave it to the budget what goes. */
const WHOLE = { windowSize: 4, threshold: 0 };

function specOf(name: string, wanted: Readonly<Record<string, number>>): Spec {
  const { parameters } = createMethod(name);
  const own = Object.entries(wanted).filter(([key]) => typeof parameters[key] === "number");
  return { name, ...Object.fromEntries(own) };
}

export const small = (name: string): Spec => specOf(name, SMALL);
export const inDecode = (name: string): Spec => specOf(name, { ...SMALL, ...IN_DECODE });
export const whole = (name: string): Spec => specOf(name, WHOLE);

/** The budget, where the method takes one. */
export function budgetFor(spec: Spec, budget: Budget): { readonly budget?: Budget } {
  return createMethod(spec).capabilities.budget === "none" ? {} : { budget };
}

/** Budgets in bytes are for methods that hold them while they read and answer. */
export function takesBytes({ capabilities, scope }: Method): boolean {
  return capabilities.budget !== "none" && scope === "layer" && capabilities.freezesPrompt !== true;
}

/** A toy on the kernels that every platform has. */
export async function openSimd(toy: Toy): Promise<LocalModel> {
  const runtime = { ...nodeRuntime, loadKernels: () => nodeRuntime.loadKernels("simd128") };
  const model = await load(toyBytes(toy), { engine: "wasm", activations: "f32", runtime });
  if (!(model instanceof LocalModel)) throw new Error("Broken invariant: load is local");
  return model;
}

/** Layers that the method may drop rows from. */
export function evictingLayers(method: Method, { config }: LocalModel): number[] {
  if (method.schedule.prefill === "never") return [];
  return [...config.layers.keys()].filter(
    (l) => config.layers[l]?.window === 0 && method.skips?.(l, config) !== true,
  );
}

/** Shots of unlike lengths and a question, over `n` tokens from position `seen` on. */
export function marksOf(seen: number, n: number): Segment[] {
  const edges = [0.05, 0.25, 0.37, 0.6, 0.83, 1].map((share) => seen + Math.round(share * n));
  return edges.slice(1).map((end, i) => ({
    kind: i === edges.length - 2 ? "question" : "shot",
    begin: edges[i] ?? 0,
    end,
  }));
}

export interface RunOptions extends SequenceOptions {
  readonly method: Spec;
}

/** Where a prompt is to break off. */
export type BreakOff =
  /** When this share of all tokens times layers is done, by the signal. */
  | number
  /** When all layers are compressed and the prompt is not finished yet, by an error. */
  | "at the end";

export class MethodRun extends Sequence {
  readonly compressor: Compressor;
  readonly #model: LocalModel;
  readonly #options: RunOptions;

  constructor(model: LocalModel, options: RunOptions) {
    super(model, options);
    const { transformer, kernels } = model.parts;
    this.#model = model;
    this.#options = options;
    this.compressor = createCompressor({
      engine: transformer.engine,
      cache: this.cache,
      method: createMethod(options.method),
      budget: options.budget,
      kernels,
      config: transformer.config,
      outputWeight: (l) => transformer.outputWeight(l),
      turnPolicy: options.turnPolicy,
    });
  }

  override prefill(
    tokens: ArrayLike<number>,
    useHidden?: (hidden: EngineBuffer) => Promise<void>,
  ): Promise<void> {
    return this.#read(tokens, () => {}, useHidden);
  }

  /** Reads a prompt that does not come to its end; the error that ends it. */
  async breakOff(tokens: ArrayLike<number>, where: BreakOff): Promise<unknown> {
    const controller = new AbortController();
    const onProgress = (share: number): void => {
      if (where !== "at the end" && share >= where) controller.abort("broken off");
    };
    const fail = (): Promise<void> => {
      throw new Error("broken off");
    };
    try {
      await this.#read(tokens, onProgress, fail, controller.signal);
    } catch (error) {
      return error;
    }
    return undefined;
  }

  async step(token: number): Promise<void> {
    this.decoder.step(token, this.compressor.beginStep());
    await this.compressor.finishStep();
  }

  /** [layer][kv head]: kept positions. */
  async kept(): Promise<number[][][]> {
    const layers: number[][][] = [];
    for (let l = 0; l < this.cache.nLayers; l++) {
      layers.push((await this.cache.keptPositions(l)).map((positions) => [...positions]));
    }
    return layers;
  }

  /** What is kept after a prompt and after each step. */
  async history(prompt: readonly number[], steps: readonly number[]): Promise<number[][][][]> {
    await this.prefill(prompt);
    const all = [await this.kept()];
    for (const token of steps) {
      await this.step(token);
      all.push(await this.kept());
    }
    return all;
  }

  /** As a session does. */
  reset(): void {
    this.cache.reset();
  }

  override dispose(): void {
    this.compressor.dispose();
    super.dispose();
  }

  async #read(
    tokens: ArrayLike<number>,
    onProgress: (share: number) => void,
    useHidden?: (hidden: EngineBuffer) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { cache, compressor, decoder } = this;
    const { chunkSize = 16 } = this.#options;
    const { transformer } = this.#model.parts;
    const marks = marksOf(cache.seen, tokens.length);
    const options = { transformer, cache, compressor, chunkSize, signal, marks };
    const steps = prefill(Uint32Array.from(tokens), options, async (hidden) => {
      await useHidden?.(hidden);
      decoder.takeLast(hidden, tokens.length);
    });
    for await (const { done, total } of steps) onProgress(done / total);
  }
}

/** The fewest bytes that `nTokens` can be read in. */
export function leastBytes(model: LocalModel, options: RunOptions, nTokens: number): number {
  let bytes = 1;
  for (;;) {
    const run = new MethodRun(model, { ...options, budget: { bytes } });
    try {
      run.compressor.planPrefill(nTokens, marksOf(0, nTokens));
      return bytes;
    } catch (error) {
      const least = error instanceof KvasirError && /at least (\d+) bytes/.exec(error.message);
      if (!least || Number(least[1]) <= bytes) throw error;
      bytes = Number(least[1]);
    } finally {
      run.dispose();
    }
  }
}

// The four toy models and what transformers computes for them.
import { load } from "../../src/load.ts";
import { LocalModel } from "../../src/session/local-model.ts";
import type { Activations, EngineName } from "../../src/engine/engine.ts";
import { nodeRuntime } from "../../src/runtime/node.ts";
import type { LoadOptions } from "../../src/types.ts";
import { readF32, readJson, readU8 } from "./golden.ts";

export const TOYS = ["toy-llama", "toy-qwen2", "toy-qwen3", "toy-gemma3"] as const;
export type Toy = (typeof TOYS)[number];

/** An engine with its way to multiply. */
export interface Mode {
  readonly engine: EngineName;
  readonly activations: Activations;
}

export const WASM_F32: Mode = { engine: "wasm", activations: "f32" };
export const WASM_Q8: Mode = { engine: "wasm", activations: "q8" };
export const REFERENCE: Mode = { engine: "reference", activations: "f32" };
export const MODES: readonly Mode[] = [WASM_F32, WASM_Q8, REFERENCE];

export const nameOf = ({ engine, activations }: Mode): string => `${engine} ${activations}`;

export interface ToyGolden {
  readonly text: string;
  readonly text_ids: number[];
  readonly ids: number[]; // [60]
  readonly argmax: number[];
  readonly greedy: {
    readonly tokens: number[];
    readonly top1_logit: number[];
    readonly top2_logit: number[];
  };
}

export function toyGolden(toy: Toy): ToyGolden & { readonly logits: Float32Array } {
  return {
    ...readJson<ToyGolden>(`toys/${toy}.json`),
    logits: readF32(`toys/${toy}.logits.f32`), // [60, vocabSize]
  };
}

export function toyBytes(toy: Toy): Uint8Array {
  return readU8(`toys/${toy}.gguf`);
}

export async function openToy(toy: Toy, mode: Mode = WASM_F32): Promise<LocalModel> {
  return openLocal(toyBytes(toy), mode);
}

/** A model with its parts in view; on one thread, so that nothing built is needed. */
export async function openLocal(
  source: Parameters<typeof load>[0],
  options: LoadOptions,
): Promise<LocalModel> {
  const model = await load(source, { threads: 1, ...options, runtime: nodeRuntime });
  if (!(model instanceof LocalModel)) throw new Error("Broken invariant: load is local");
  return model;
}

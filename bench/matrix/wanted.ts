// What is wanted of a rate, as its ratio to another one: by whom, over whom, on which file.
import type { ModelFile } from "../machine.ts";

export interface Wanted {
  readonly prefill: number;
  readonly decode: number;
}

/** Chromium over llama.cpp in WebAssembly, in the same browser. */
export const OVER_WLLAMA: Wanted = { prefill: 15, decode: 8 };
/** A full cache's decode at the longest context, over the native one's. */
export const LONGEST_OVER_NATIVE = 1.5;
/** A tenth of the longest context, over a cache that was always that small. */
export const COMPRESSED_OVER_SMALL = 0.9;
/** The same over the native decode of the whole context. */
export const COMPRESSED_OVER_NATIVE = 5;

/** Node and Chromium over native llama.cpp with as many threads; null: nothing is said. */
export function overNative({ file, quant }: ModelFile): Wanted | null {
  if (/gemma/i.test(file)) return { prefill: 0.8, decode: 1 };
  if (quant === "Q4_1") return { prefill: 1.5, decode: 1.3 };
  if (quant === "Q4_0" || quant === "Q8_0") return { prefill: 0.8, decode: 1 };
  return null;
}

// The other path: given tokens go through in batches over a cache that a method compressed. It shares
// the engine with a session, and neither its decode loop nor its sampling.
import { KvCache } from "../src/cache/kv-cache.ts";
import { createCompressor } from "../src/compress.ts";
import { createMethod } from "../src/compression/registry.ts";
import type { CodecName, EngineBuffer } from "../src/engine/engine.ts";
import type { LocalModel } from "../src/session/local-model.ts";
import { argmax } from "../src/parity/metrics.ts";
import { prefill } from "../src/prefill.ts";
import type { Budget } from "../src/types.ts";
import { type Bench, check } from "./cases/case.ts";

const F32_BYTES = 4;
const CHUNK_SIZE = 48; // not the session's: its rounding would show
const LOGITS_AT_ONCE = 8;
/** Two paths of an inexact engine may choose differently when the logits are this near. */
const TIE_MARGIN = 0.05;

/** For methods that act after each chunk of the prompt, whose choice depends on its size. */
const SHARED_CHUNK_SIZE = 128;

export interface ReplaySpec {
  readonly method: string;
  readonly budget?: Budget;
  readonly chunkSize?: number;
  /** Default: what suits the engine. */
  readonly codec?: CodecName;
}

/** What a session and a replay are asked for, of a variant. */
export function specOf(method = "full", budgetTokens?: number): ReplaySpec {
  const { capabilities, schedule } = createMethod(method);
  const isBounded = capabilities.budget !== "none" && budgetTokens !== undefined;
  return {
    method,
    ...(isBounded ? { budget: { tokens: budgetTokens } } : {}),
    ...(schedule.prefill === "chunk" ? { chunkSize: SHARED_CHUNK_SIZE } : {}),
  };
}

/** Whether the method also drops rows while decoding, which a batch cannot repeat. */
export function actsInDecode(method: string): boolean {
  return createMethod(method).schedule.everySteps > 0;
}

/**
 * Reads `prompt`, compresses, then reads `given`, and visits the logits from the last prompt token
 * on: `given.length + 1` times f32[vocabSize], valid until the next visit. Strict: the last prompt
 * token is read again over what was kept.
 */
export async function replay(
  model: LocalModel,
  prompt: Uint32Array,
  given: ArrayLike<number>,
  spec: ReplaySpec,
  visit: (step: number, logits: Float32Array) => void,
): Promise<void> {
  const { transformer } = model.parts;
  const { nLayers, nKvHeads, headDim } = transformer.config;
  const { codec = transformer.engine.defaults.codec } = spec;
  const headroom = given.length + 1;
  const cache = new KvCache(transformer.engine, { nLayers, nKvHeads, headDim, codec, headroom });
  try {
    await readInto(model, cache, prompt, spec, () => undefined);
    cache.truncate(prompt.length - 1);
    const tokens = Uint32Array.from([prompt.at(-1) ?? 0, ...Array.from(given)]);
    await readInto(model, cache, tokens, { method: "full" }, (hidden) =>
      visitLogits(model, hidden, tokens.length, visit),
    );
  } finally {
    cache.dispose();
  }
}

/** Greedy tokens after `token`, by steps of a prompt; the cache is as before. */
export async function greedyFrom(
  model: LocalModel,
  cache: KvCache,
  token: number,
  n: number,
): Promise<number[]> {
  const { seen } = cache;
  const tokens: number[] = [];
  for (let i = 0; i < n; i++) {
    const given = Uint32Array.of(tokens.at(-1) ?? token);
    await readInto(model, cache, given, { method: "full" }, (hidden) =>
      visitLogits(model, hidden, 1, (_, logits) => void tokens.push(argmax(logits))),
    );
  }
  cache.truncate(seen);
  return tokens;
}

/** Reads `tokens` into the cache and compresses as `spec` says; `useHidden` gets each chunk's states. */
export async function readInto(
  model: LocalModel,
  cache: KvCache,
  tokens: Uint32Array,
  { method, budget, chunkSize = CHUNK_SIZE }: ReplaySpec,
  useHidden: (hidden: EngineBuffer) => void | Promise<void>,
): Promise<void> {
  const { transformer, kernels } = model.parts;
  const { engine, config } = transformer;
  const made = createMethod(method);
  const compressor = createCompressor({ engine, cache, method: made, budget, kernels, config });
  const options = { transformer, cache, compressor, chunkSize };
  for await (const step of prefill(tokens, options, useHidden)) void step;
}

async function visitLogits(
  model: LocalModel,
  hidden: EngineBuffer,
  nTokens: number,
  visit: (step: number, logits: Float32Array) => void,
): Promise<void> {
  const { transformer } = model.parts;
  const { engine, config } = transformer;
  const stride = F32_BYTES * config.hiddenSize;
  const rowBytes = F32_BYTES * config.vocabSize;
  const out = engine.alloc(LOGITS_AT_ONCE * rowBytes, "logits");
  try {
    for (let first = 0; first < nTokens; first += LOGITS_AT_ONCE) {
      const n = Math.min(LOGITS_AT_ONCE, nTokens - first);
      transformer.logits(out, engine.slice(hidden, first * stride, n * stride), n);
      const bytes = await engine.read(out, 0, n * rowBytes);
      for (let i = 0; i < n; i++) {
        const at = bytes.byteOffset + i * rowBytes;
        visit(first + i, new Float32Array(bytes.buffer, at, config.vocabSize));
      }
    }
  } finally {
    engine.free(out);
  }
}

/**
 * Of a method that acts in decode only the first token is compared: it comes before any step.
 * @throws {CheckError} When `tokens` is not the greedy answer to `prompt`.
 */
export async function checkGreedy(
  bench: Bench,
  prompt: Uint32Array,
  tokens: readonly number[],
  spec: ReplaySpec,
): Promise<void> {
  const margin = bench.isExact ? 0 : TIE_MARGIN;
  const nGiven = actsInDecode(spec.method) ? 0 : tokens.length - 1;
  await replay(bench.model, prompt, tokens.slice(0, nGiven), spec, (step, logits) => {
    const best = argmax(logits);
    const token = tokens[step] ?? -1;
    const behind = (logits[best] ?? NaN) - (logits[token] ?? NaN);
    check(Number.isFinite(behind), `Cannot trust step ${step}: its logits are not finite`);
    check(
      token === best || behind < margin,
      `Cannot trust step ${step}: the batched path gives token ${best}, got ${token}`,
    );
  });
}

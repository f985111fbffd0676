// One prompt, every variant: a single prefill over the full cache, from which each variant's kept rows
// are copied to a cache of its own; the last prompt token is read again over them, as in a session.
import { KvCache } from "../../src/cache/kv-cache.ts";
import { Rows, RowStore } from "../../src/cache/rows.ts";
import { createCompressor } from "../../src/compress.ts";
import { createMethod } from "../../src/compression/registry.ts";
import { Decoder } from "../../src/decode.ts";
import type { CodecName } from "../../src/engine/engine.ts";
import type { LocalModel } from "../../src/session/local-model.ts";
import { prefill } from "../../src/prefill.ts";
import { fillSegments } from "../../src/compression/segments.ts";
import type { Segment } from "../../src/compression/segments.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import type { Budget } from "../../src/types.ts";
import { FanOut, type Kept } from "./fan-out.ts";
import { FULL, type Variant } from "./methods.ts";
import type { Prompt } from "./prompt.ts";

/** A session's defaults. */
const CHUNK_SIZE = 128;

export interface Reply {
  /** Without the token that ended it. */
  readonly text: string;
  /** Of the prompt's rows, over all layers and heads. */
  readonly keptShare: number;
  readonly kept: Kept;
}

export interface Replies {
  /** In the order of the variants. */
  readonly replies: readonly Reply[];
  readonly prefillMs: number;
  readonly answersMs: number;
}

export const budgetOf = ({ label, keep }: Variant): Budget | undefined =>
  label === FULL ? undefined : { keep };

/** The codec that sessions store rows in by default. */
export function codecOf(model: LocalModel): CodecName {
  return model.parts.transformer.engine.defaults.codec;
}

/** The greedy answers to `prompt`, each ended by a line break, an end token or `maxTokens`. */
export async function ask(
  model: LocalModel,
  prompt: Prompt,
  variants: readonly Variant[],
  maxTokens: number,
): Promise<Replies> {
  const full = createCache(model, 0);
  const started = performance.now();
  try {
    const fanOut = await readPrompt(model, full, prompt, variants);
    const prefilled = performance.now();
    const replies: Reply[] = [];
    for (const i of variants.keys()) {
      const kept = fanOut.kept[i] ?? new Map<number, readonly Uint32Array[]>();
      replies.push(await answerOver(model, full, kept, prompt.tokens, maxTokens));
    }
    const prefillMs = prefilled - started;
    return { replies, prefillMs, answersMs: performance.now() - prefilled };
  } finally {
    full.dispose();
  }
}

function createCache(model: LocalModel, headroom: number): KvCache {
  const { engine, config } = model.parts.transformer;
  const { nLayers, nKvHeads, headDim } = config;
  return new KvCache(engine, { nLayers, nKvHeads, headDim, codec: codecOf(model), headroom });
}

async function readPrompt(
  model: LocalModel,
  cache: KvCache,
  { tokens, segments }: Prompt,
  variants: readonly Variant[],
): Promise<FanOut> {
  const { transformer, kernels } = model.parts;
  const { engine, config } = transformer;
  const members = variants.map((variant) =>
    createCompressor({
      ...{ engine, cache, kernels, config },
      method: createMethod(variant.method),
      budget: budgetOf(variant),
    }),
  );
  const compressor = new FanOut(members);
  const marks: Segment[] = fillSegments(segments as Segment[], 0, tokens.length);
  const options = { transformer, cache, compressor, chunkSize: CHUNK_SIZE, marks };
  try {
    for await (const step of prefill(tokens, options, () => undefined)) void step;
  } finally {
    compressor.dispose();
  }
  return compressor;
}

async function answerOver(
  model: LocalModel,
  full: KvCache,
  kept: Kept,
  tokens: Uint32Array,
  maxTokens: number,
): Promise<Reply> {
  const { transformer, tokenizer } = model.parts;
  const cache = createCache(model, maxTokens + 1);
  const decoder = new Decoder(transformer, cache);
  try {
    copyRows(model, full, cache, kept);
    cache.advance(tokens.length);
    const { keptRows, fullRows } = cache.usage();
    cache.truncate(tokens.length - 1);
    decoder.step(tokens.at(-1) ?? 0);
    const text = await greedy(decoder, tokenizer, maxTokens);
    return { text, keptShare: keptRows / fullRows, kept };
  } finally {
    decoder.dispose();
    cache.dispose();
  }
}

function copyRows(model: LocalModel, from: KvCache, to: KvCache, kept: Kept): void {
  const store = new RowStore(model.parts.transformer.engine);
  for (let l = 0; l < from.nLayers; l++) {
    const source = from.layer(l);
    const keep = kept.get(l) ?? null;
    const nRows = Math.max(...source.length.map((n, head) => keep?.[head]?.length ?? n));
    const target = to.openLayer(l, nRows, { compress: false });
    if (!(source instanceof Rows && target instanceof Rows)) throw new Error("Rows have changed");
    store.transfer(target, source, keep);
  }
}

async function greedy(decoder: Decoder, tokenizer: Tokenizer, maxTokens: number): Promise<string> {
  const tokens: number[] = [];
  for (let n = 1; ; n++) {
    const token = await decoder.best();
    if (tokenizer.stopTokens.has(token)) break;
    tokens.push(token);
    if (n === maxTokens || tokenizer.decode([token]).includes("\n")) break;
    decoder.step(token);
  }
  return tokenizer.decode(tokens).split("\n")[0] ?? "";
}

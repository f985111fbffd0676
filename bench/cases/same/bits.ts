// The same bits whatever computes them: logits of one prompt and of decode steps after it, by every build
// of the kernels, number of threads and runtime.
import { KvCache } from "../../../src/cache/kv-cache.ts";
import { Decoder } from "../../../src/decode.ts";
import { readInto, replay, specOf } from "../../replay.ts";
import { type Bench, type BenchCase, check } from "../case.ts";
import { sha256Hex } from "./hash.ts";

const N_PROMPT = 200;
const N_STEPS = 8;
/** What sessions take: the other path takes another. */
const CHUNK_SIZE = 128;

export const bits: BenchCase = {
  name: "bits",
  measures: `SHA-256 of the logits of ${N_PROMPT} tokens and ${N_STEPS} steps, by build of the kernels`,
  metrics: {},
  isDeterministic: true,
  variants: () =>
    (["simd128", "relaxed"] as const).map((build) => ({
      name: build,
      params: { nTokens: N_PROMPT, nDecode: N_STEPS },
      settings: { engine: "wasm" as const, build },
    })),
  /** By one batch after the prompt, in other chunks and without the decode loop. */
  async expect(bench, { nTokens, nDecode }) {
    const all = bench.words(nTokens + nDecode);
    const rows: Float32Array[] = [];
    const [prompt, given] = [all.slice(0, nTokens), all.slice(nTokens)];
    await replay(bench.model, prompt, given, specOf(), (_, logits) => {
      rows.push(logits.slice());
    });
    return hashOf(rows);
  },
  async measure(bench, { nTokens, nDecode }, expected) {
    const rows = await decodeLogits(bench, bench.words(nTokens + nDecode), nTokens);
    const hash = await hashOf(rows);
    const other = JSON.stringify(expected);
    check(
      JSON.stringify(hash) === other,
      `Cannot trust the logits: a batch gives ${other}, got ${hash}`,
    );
    return { metrics: {}, output: { hash, nRows: rows.length } };
  },
};

async function decodeLogits(
  { model }: Bench,
  tokens: Uint32Array,
  nPrompt: number,
): Promise<Float32Array[]> {
  const { transformer } = model.parts;
  const { engine, config } = transformer;
  const { nLayers, nKvHeads, headDim } = config;
  const headroom = tokens.length - nPrompt + 1;
  const { codec } = engine.defaults;
  const cache = new KvCache(engine, { nLayers, nKvHeads, headDim, codec, headroom });
  const decoder = new Decoder(transformer, cache);
  try {
    const rows: Float32Array[] = [];
    const spec = { ...specOf(), chunkSize: CHUNK_SIZE };
    await readInto(model, cache, tokens.slice(0, nPrompt), spec, async (hidden) => {
      decoder.takeLast(hidden, nPrompt);
      rows.push(await decoder.logits());
    });
    for (const token of tokens.slice(nPrompt)) {
      decoder.step(token);
      rows.push(await decoder.logits());
    }
    return rows;
  } finally {
    decoder.dispose();
    cache.dispose();
  }
}

/** Of the f32 bits, row after row, as they lie in memory. */
async function hashOf(rows: readonly Float32Array[]): Promise<string> {
  const all = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return sha256Hex(new Uint8Array(all.buffer));
}

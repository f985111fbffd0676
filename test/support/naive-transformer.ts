// A second forward pass, of plain loops in f64 over dequantised weights: no engine, no cache, no row
// indices. It keeps every key and value ever made, and what a query may see is an explicit mask over
// positions. It reads a GGUF file's own keys and shares only the parser and the block formats with
// `src/`; what sets the architectures apart is written out here once more.
import { parseGguf } from "../../src/gguf/parse.ts";
import { BufferSource } from "../../src/gguf/sources.ts";
import type { GgufValue } from "../../src/gguf/value.ts";
import { dequantize } from "../../src/weights/formats/index.ts";
import { naiveAttention, naiveMatVec, naiveRmsNorm, naiveRope } from "./naive.ts";

/** Whether a query of kv head `head` in layer `l` may see the key at `position`. */
export type IsKept = (l: number, head: number, position: number) => boolean;

interface Shape {
  readonly arch: string;
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly eps: number;
  readonly base: number;
  /** Sliding window of gemma 3; 0 elsewhere. */
  readonly window: number;
}

/** Per kv head, f64[headDim] for each position. */
type Dense = Float64Array[][];

export class NaiveTransformer {
  readonly shape: Shape;
  readonly #tensors: ReadonlyMap<string, Float32Array>;
  readonly #keys: Dense[];
  readonly #values: Dense[];
  #seen = 0;

  private constructor(shape: Shape, tensors: ReadonlyMap<string, Float32Array>) {
    this.shape = shape;
    this.#tensors = tensors;
    const empty = (): Dense[] =>
      Array.from({ length: shape.nLayers }, () =>
        Array.from({ length: shape.nKvHeads }, (): Float64Array[] => []),
      );
    this.#keys = empty();
    this.#values = empty();
  }

  static async open(bytes: Uint8Array): Promise<NaiveTransformer> {
    const gguf = await parseGguf(new BufferSource(bytes));
    const tensors = new Map<string, Float32Array>();
    for (const [name, info] of gguf.tensors) {
      const blocks = await info.source.read(info.byteOffset, info.byteLength);
      tensors.set(name, dequantize(info.type.name, blocks));
    }
    return new NaiveTransformer(shapeOf(gguf.metadata), tensors);
  }

  /** Reads tokens at the next positions; f64[vocabSize] logits after each. */
  read(tokens: readonly number[], isKept: IsKept = () => true): Float64Array[] {
    const { hiddenSize, nLayers, arch } = this.shape;
    const embedding = this.#tensor("token_embd.weight");
    const factor = arch === "gemma3" ? Math.sqrt(hiddenSize) : 1;
    let hidden: Float64Array[] = tokens.map((token) =>
      Float64Array.from(
        embedding.subarray(token * hiddenSize, (token + 1) * hiddenSize),
        (x) => x * factor,
      ),
    );
    for (let l = 0; l < nLayers; l++) hidden = this.#layer(l, hidden, isKept);
    this.#seen += tokens.length;
    const output = this.#tensors.get("output.weight") ?? embedding;
    return hidden.map((x) => naiveMatVec(output, this.#norm("output_norm", x)));
  }

  #layer(l: number, hidden: readonly Float64Array[], isKept: IsKept): Float64Array[] {
    const isGemma = this.shape.arch === "gemma3";
    const mixed = this.#attention(l, hidden, isKept);
    return hidden.map((x, i) => {
      let attention = this.#matVec(l, "attn_output", mixed[i] as Float64Array);
      if (isGemma) attention = this.#norm(`blk.${l}.post_attention_norm`, attention);
      const middle = x.map((value, c) => value + (attention[c] as number));
      const normed = this.#norm(`blk.${l}.ffn_norm`, middle);
      const up = this.#matVec(l, "ffn_up", normed);
      const activation = isGemma ? geluTanh : silu;
      const gated = this.#matVec(l, "ffn_gate", normed).map(
        (value, c) => activation(value) * (up[c] as number),
      );
      let ffn = this.#matVec(l, "ffn_down", gated);
      if (isGemma) ffn = this.#norm(`blk.${l}.post_ffw_norm`, ffn);
      return middle.map((value, c) => value + (ffn[c] as number));
    });
  }

  /** Dense attention over all positions so far; [nTokens][nHeads * headDim]. */
  #attention(l: number, hidden: readonly Float64Array[], isKept: IsKept): Float64Array[] {
    const { arch, nHeads, nKvHeads, headDim, window } = this.shape;
    const [keys, values] = [this.#keys[l] as Dense, this.#values[l] as Dense];
    const slides = window > 0 && (l + 1) % 6 !== 0;
    const queries: number[] = [];
    hidden.forEach((x, i) => {
      const normed = this.#norm(`blk.${l}.attn_norm`, x);
      const [q, k, v] = ["q", "k", "v"].map((part) => this.#project(l, part, normed));
      const rotated = (all: Float64Array, part: string, head: number): Float64Array => {
        let own: Float64Array = all.slice(head * headDim, (head + 1) * headDim);
        const norm = `blk.${l}.attn_${part}_norm`;
        if (this.#tensors.has(`${norm}.weight`)) own = this.#norm(norm, own);
        const style = arch === "llama" ? "interleaved" : "half";
        return naiveRope(own, this.#seen + i, (pair) => this.#frequency(pair, slides), style);
      };
      for (let head = 0; head < nHeads; head++) queries.push(...rotated(q!, "q", head));
      for (let head = 0; head < nKvHeads; head++) {
        keys[head]!.push(rotated(k!, "k", head));
        values[head]!.push(v!.slice(head * headDim, (head + 1) * headDim));
      }
    });
    const out = naiveAttention({
      nHeads,
      nKvHeads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      queries,
      keys: keys.map(flat),
      values: values.map(flat),
      isVisible: (head, query, key) => {
        const distance = this.#seen + query - key;
        return distance >= 0 && (!slides || distance < window) && isKept(l, head, key);
      },
    });
    const size = nHeads * headDim;
    return hidden.map((_, i) => out.slice(i * size, (i + 1) * size));
  }

  #frequency(pair: number, slides: boolean): number {
    const { headDim, base } = this.shape;
    const factors = this.#tensors.get("rope_freqs.weight");
    return (slides ? 10_000 : base) ** ((-2 * pair) / headDim) / (factors?.[pair] ?? 1);
  }

  #project(l: number, part: string, x: Float64Array): Float64Array {
    const bias = this.#tensors.get(`blk.${l}.attn_${part}.bias`);
    return this.#matVec(l, `attn_${part}`, x).map((value, i) => value + (bias?.[i] ?? 0));
  }

  #matVec(l: number, part: string, x: Float64Array): Float64Array {
    return naiveMatVec(this.#tensor(`blk.${l}.${part}.weight`), x);
  }

  #norm(name: string, x: Float64Array): Float64Array {
    return naiveRmsNorm(x, this.#tensor(`${name}.weight`), this.shape.eps);
  }

  #tensor(name: string): Float32Array {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`Cannot compute: tensor "${name}" is missing`);
    return tensor;
  }
}

function shapeOf(metadata: ReadonlyMap<string, GgufValue>): Shape {
  const arch = String(metadata.get("general.architecture"));
  const number = (key: string): number => Number(metadata.get(`${arch}.${key}`) ?? 0);
  const [hiddenSize, nHeads] = [number("embedding_length"), number("attention.head_count")];
  return {
    arch,
    hiddenSize,
    nHeads,
    nLayers: number("block_count"),
    nKvHeads: number("attention.head_count_kv"),
    headDim: number("attention.key_length") || hiddenSize / nHeads,
    eps: number("attention.layer_norm_rms_epsilon"),
    base: number("rope.freq_base"),
    window: arch === "gemma3" ? number("attention.sliding_window") : 0,
  };
}

function flat(rows: readonly Float64Array[]): Float64Array {
  const headDim = rows[0]?.length ?? 0;
  const all = new Float64Array(rows.length * headDim);
  rows.forEach((row, i) => all.set(row, i * headDim));
  return all;
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

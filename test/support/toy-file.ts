// GGUF files for tests: a toy with something changed, and a synthetic llama of any shape.
import { parseGguf } from "../../src/gguf/parse.ts";
import { BufferSource } from "../../src/gguf/sources.ts";
import { TextList } from "../../src/text-list.ts";
import type { TensorTypeName } from "../../src/gguf/tensor-type.ts";
import { type WriterFile, writeGguf, type WriterTensor, type WriterValue } from "./gguf-writer.ts";
import { Rng } from "./rng.ts";

export interface Contents {
  metadata: Record<string, WriterValue>;
  tensors: WriterTensor[];
}

/** What a file holds, to be changed and written again; for files without wide integers or floats. */
export async function contentsOf(bytes: Uint8Array): Promise<Contents> {
  const gguf = await parseGguf(new BufferSource(bytes));
  const tensors: WriterTensor[] = [];
  for (const [name, info] of gguf.tensors) {
    const data = await info.source.read(info.byteOffset, info.byteLength);
    tensors.push({ name, type: info.type.name, dims: info.dims, data });
  }
  const plain = [...gguf.metadata].map(([key, value]) => [
    key,
    value instanceof TextList ? [...value] : value,
  ]);
  const metadata = Object.fromEntries(plain) as Record<string, WriterValue>;
  return { metadata, tensors };
}

/** The same model behind a tensor of `byteLength` bytes (a multiple of 4) that nobody uses. */
export async function padded(bytes: Uint8Array, byteLength: number): Promise<Uint8Array> {
  const contents = await contentsOf(bytes);
  const data = new Uint8Array(byteLength);
  for (let i = 0; i < byteLength; i++) data[i] = Math.imul(i, 2654435761) >>> 24;
  const padding: WriterTensor = { name: "padding", type: "F32", dims: [byteLength / 4], data };
  return writeGguf({ ...contents, tensors: [padding, ...contents.tensors] });
}

/** The file in `n` shards, in the order of its tensors. */
export function shardsOf({ metadata, tensors }: Contents, n: number): Uint8Array[] {
  const perShard = Math.ceil(tensors.length / n);
  return Array.from({ length: n }, (_, i) => {
    const split = { "split.no": i, "split.count": n, "split.tensors.count": tensors.length };
    const file: WriterFile = {
      metadata: i === 0 ? { ...metadata, ...split } : split,
      tensors: tensors.slice(i * perShard, (i + 1) * perShard),
    };
    return writeGguf(file);
  });
}

export interface SyntheticShape {
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly contextLength: number;
}

/** A llama of random F32 weights with a vocabulary of single bytes. */
export function syntheticLlama(shape: SyntheticShape, seed = 1): Uint8Array {
  const { nLayers, hiddenSize, ffnSize, nHeads, nKvHeads, headDim } = shape;
  const rng = new Rng(seed);
  const matrix = (name: string, nCols: number, nRows: number): WriterTensor =>
    f32(name, [nCols, nRows], rng.normals(nCols * nRows, 1 / Math.sqrt(nCols)));
  const ones = (name: string): WriterTensor =>
    f32(name, [hiddenSize], new Float32Array(hiddenSize).fill(1));
  const [qSize, kvSize] = [nHeads * headDim, nKvHeads * headDim];
  const tensors = Array.from({ length: nLayers }, (_, l) => [
    ones(`blk.${l}.attn_norm.weight`),
    matrix(`blk.${l}.attn_q.weight`, hiddenSize, qSize),
    matrix(`blk.${l}.attn_k.weight`, hiddenSize, kvSize),
    matrix(`blk.${l}.attn_v.weight`, hiddenSize, kvSize),
    matrix(`blk.${l}.attn_output.weight`, qSize, hiddenSize),
    ones(`blk.${l}.ffn_norm.weight`),
    matrix(`blk.${l}.ffn_gate.weight`, hiddenSize, ffnSize),
    matrix(`blk.${l}.ffn_up.weight`, hiddenSize, ffnSize),
    matrix(`blk.${l}.ffn_down.weight`, ffnSize, hiddenSize),
  ]).flat();
  const vocabulary = byteVocabulary();
  return writeGguf({
    metadata: {
      "general.architecture": "llama",
      "general.name": "synthetic",
      "llama.context_length": shape.contextLength,
      "llama.embedding_length": hiddenSize,
      "llama.block_count": nLayers,
      "llama.feed_forward_length": ffnSize,
      "llama.attention.head_count": nHeads,
      "llama.attention.head_count_kv": nKvHeads,
      "llama.attention.key_length": headDim,
      "llama.attention.value_length": headDim,
      "llama.attention.layer_norm_rms_epsilon": 1e-5,
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "llama-bpe",
      "tokenizer.ggml.tokens": vocabulary,
      "tokenizer.ggml.token_type": vocabulary.map((_, i) => (i < 256 ? 1 : 3)),
      "tokenizer.ggml.merges": ["a b"],
      "tokenizer.ggml.eos_token_id": 256,
    },
    tensors: [
      matrix("token_embd.weight", hiddenSize, vocabulary.length),
      ones("output_norm.weight"),
      ...tensors,
    ],
  });
}

function f32(name: string, dims: number[], values: Float32Array): WriterTensor {
  const type: TensorTypeName = "F32";
  return { name, type, dims, data: new Uint8Array(values.buffer) };
}

/** GPT-2's names of the 256 bytes, one merge and an end of text. */
function byteVocabulary(): string[] {
  const isPlain = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  const bytes = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPlain(byte) ? byte : next++),
  );
  return [...bytes, "<|endoftext|>", "ab"];
}

// GGUF's tensor names. Our names are those of `LayerWeights`.

export const EMBEDDING = "token_embd.weight";
export const OUTPUT = "output.weight";
export const OUTPUT_NORM = "output_norm.weight";
/** llama 3's rope scaling: f32[headDim / 2] divisors of the frequencies. */
export const ROPE_FACTORS = "rope_freqs.weight";

/** Name of a tensor of layer `l`, as in "blk.3.attn_q.weight". */
export function layerTensor(l: number, part: string): string {
  return `blk.${l}.${part}`;
}

/* tslint:disable */
/* eslint-disable */

/**
 * x f32[n] += y f32[n].
 */
export function add(x: number, y: number, n: number): void;

/**
 * x f32[n_tokens, stride] at `column`: adds bias f32[size].
 */
export function add_bias(x: number, bias: number, n_tokens: number, stride: number, column: number, size: number): void;

/**
 * Writes one head's vectors of x f32[n_tokens, stride] from `column` as rows at `rows`
 * ([n_tokens, head_dim] cells); `codec` 0 f32, 1 f16.
 */
export function append_rows(codec: number, rows: number, x: number, n_tokens: number, stride: number, column: number, head_dim: number): void;

/**
 * The first index of the largest of `logits` f32`[n]`; NaN never wins.
 */
export function arg_max(logits: number, n: number): number;

/**
 * Attention of the queries of one kv head over its `length` rows; q f32[n_tokens, q_stride] from
 * `q_column`, out f32[n_tokens, out_stride] from `out_column`; `codec` 0 f32, 1 f16.
 */
export function attend_head(codec: number, out: number, out_stride: number, out_column: number, q: number, q_stride: number, q_column: number, n_tokens: number, n_groups: number, head_dim: number, keys: number, values: number, positions: number, length: number, first_position: number, scale: number, window: number, scratch: number): void;

/**
 * f32 elements of scratch for `attend`.
 */
export function attend_scratch_len(n_queries: number, head_dim: number): number;

/**
 * Blocks of ggml type `tensor_type` at `blocks` to `out` f32`[n]`; `n` is a multiple of the block
 * size. Returns false, and writes nothing, for a type that is not known.
 */
export function dequantize(tensor_type: number, blocks: number, n: number, out: number): boolean;

/**
 * Row `row` of a packed weight to f32[n_cols], times `scale`.
 */
export function embed_packed_row(ty: number, out: number, weight: number, row: number, n_cols: number, scale: number): void;

/**
 * One row of GGUF blocks to f32[n_cols], times `scale`.
 */
export function embed_row(ty: number, out: number, row: number, n_cols: number, scale: number): void;

/**
 * f16 bits at `halves` u16`[n]` to `out` f32`[n]`, exact.
 */
export function f16_to_f32(halves: number, n: number, out: number): void;

/**
 * `values` f32`[n]` to f16 bits at `out` u16`[n]`, ties to even.
 */
export function f32_to_f16(values: number, n: number, out: number): void;

/**
 * out f32[n_tokens, size] from gate_up f32[n_tokens, 2 size]; `kind` 0 silu, 1 gelu-tanh.
 */
export function gate(out: number, gate_up: number, n_tokens: number, size: number, kind: number): void;

/**
 * Rows `keep` u32[n] (ascending, from the head's first) of `src` to the first rows of `dst`, which
 * may start where `src` starts; codecs as in `append_rows`.
 */
export function gather_rows(dst_codec: number, dst: number, src_codec: number, src: number, keep: number, n: number, d: number): void;

/**
 * `scores` f32`[n_heads, n]` to `out` f32`[n_heads / n_groups, n]`, over the `n_groups` query
 * heads of each kv head; `by` is 0 mean, 1 max, 2 sum.
 */
export function group_reduce(scores: number, n_heads: number, n_groups: number, n: number, by: number, out: number): void;

/**
 * Whether tensor type `ty` has a packed layout.
 */
export function is_packed(ty: number): boolean;

/**
 * ln of the sum of e^x over `x` f32`[n]`.
 */
export function log_sum_exp(x: number, n: number): number;

/**
 * out f32[n_tokens, stride] at `column` = rows [begin, end) of a packed weight times quantised x.
 */
export function mat_mul_packed(ty: number, out: number, stride: number, column: number, codes: number, scales: number, sums: number, n_tokens: number, weight: number, n_rows: number, n_cols: number, begin: number, end: number): void;

/**
 * out f32[n_tokens, stride] at `column` = rows [begin, end) of a weight of GGUF blocks times x.
 */
export function mat_mul_raw(ty: number, out: number, stride: number, column: number, x: number, n_tokens: number, weight: number, n_rows: number, n_cols: number, begin: number, end: number, scratch: number): void;

/**
 * f32 elements of scratch for `mat_mul_raw`.
 */
export function mat_mul_scratch_len(n_cols: number): number;

/**
 * f32 elements of scratch for `measure_window`.
 */
export function measure_scratch_len(n_rows: number, head_dim: number): number;

/**
 * out f32[n_groups, out_stride] += softmax rows of the queries of one kv head, summed over tokens.
 */
export function measure_window_head(codec: number, out: number, out_stride: number, q: number, q_stride: number, q_column: number, n_tokens: number, n_groups: number, head_dim: number, keys: number, positions: number, length: number, first_position: number, scale: number, window: number, scratch: number): void;

/**
 * Norms (weight not 0) and rotates `n_heads` heads of each token of x f32[n_tokens, stride] from
 * `column`; table f32[n_tokens, head_dim]; `style` 0 interleaved, 1 half.
 */
export function norm_rotate(x: number, n_tokens: number, stride: number, column: number, n_heads: number, head_dim: number, table: number, style: number, weight: number, eps: number): void;

/**
 * Packs `n` rows of GGUF blocks at `rows` as rows `first_row ..` (a multiple of 4) of `weight`.
 */
export function pack_rows(ty: number, weight: number, first_row: number, rows: number, n: number, n_cols: number, scratch: number): void;

/**
 * f32 elements of scratch for `pack_rows`.
 */
export function pack_scratch_len(n_cols: number): number;

/**
 * 1-D pooling of each row of `scores` f32`[n_rows, n]` to `out`, same shape; `kernel` is odd, `by`
 * is 0 average, 1 max.
 */
export function pool(scores: number, n_rows: number, n: number, kernel: number, by: number, out: number): void;

/**
 * x f32[n_tokens, n_cols] to i16 codes[n_tokens, n_cols], f32 scales and i32 sums
 * [n_tokens, n_cols / 32, 2].
 */
export function quantize(codes: number, scales: number, sums: number, x: number, n_tokens: number, n_cols: number): void;

/**
 * out f32[n_tokens, size] = RMS norm of x, weight f32[size].
 */
export function rms_norm(out: number, x: number, weight: number, n_tokens: number, size: number, eps: number): void;

/**
 * Frequencies to `out` f32`[n_pairs]`, radians a position: `base^(-i / n_pairs) / scale`, divided
 * by `factors` f32`[n_pairs]` where `n_factors` is not 0.
 */
export function rope_frequencies(out: number, n_pairs: number, base: number, scale: number, factors: number, n_factors: number): void;

/**
 * Cosines and sines, interleaved, to `out` f32`[n_tokens, 2 * n_pairs]` for the positions from
 * `first_position` on; `frequencies` is f32`[n_pairs]`.
 */
export function rope_table(out: number, frequencies: number, n_pairs: number, first_position: number, n_tokens: number): void;

/**
 * The select rule over `scores` f32`[n]`: `forced` u32`[n_forced]` and the best of the rest, to
 * `out` u32`[min(n, max(budget, n_forced))]`, ascending. Returns the number of indices written.
 * `keys` u32`[n]` is scratch.
 */
export function select(scores: number, n: number, budget: number, forced: number, n_forced: number, keys: number, out: number): number;

/**
 * Softmax of `x` f32`[n]` in place.
 */
export function softmax(x: number, n: number): void;

/**
 * The indices of the `k` largest of `logits` f32`[n]` to `tokens` u32`[k]`, descending, ties to
 * the lower index; `k <= n`. `heap` u64`[k]` is scratch.
 */
export function top_k_logits(logits: number, n: number, k: number, heap: number, tokens: number): void;

/**
 * Bytes of a matrix of tensor type `ty` in the layout that `mat_mul` reads; `is_raw`: GGUF blocks.
 */
export function weight_bytes(ty: number, n_rows: number, n_cols: number, is_raw: boolean): number;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly add: (a: number, b: number, c: number) => void;
    readonly add_bias: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly append_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly arg_max: (a: number, b: number) => number;
    readonly attend_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number, r: number) => void;
    readonly attend_scratch_len: (a: number, b: number) => number;
    readonly dequantize: (a: number, b: number, c: number, d: number) => number;
    readonly embed_packed_row: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly embed_row: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly f16_to_f32: (a: number, b: number, c: number) => void;
    readonly f32_to_f16: (a: number, b: number, c: number) => void;
    readonly gate: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly gather_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly group_reduce: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly is_packed: (a: number) => number;
    readonly log_sum_exp: (a: number, b: number) => number;
    readonly mat_mul_packed: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number) => void;
    readonly mat_mul_raw: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number) => void;
    readonly mat_mul_scratch_len: (a: number) => number;
    readonly measure_scratch_len: (a: number, b: number) => number;
    readonly measure_window_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number) => void;
    readonly norm_rotate: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number) => void;
    readonly pack_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly pack_scratch_len: (a: number) => number;
    readonly pool: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly quantize: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly rms_norm: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly rope_frequencies: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly rope_table: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly select: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => number;
    readonly softmax: (a: number, b: number) => void;
    readonly top_k_logits: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly weight_bytes: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;

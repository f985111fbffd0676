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
 * Adds to out f32[n_groups, out_stride] the softmax rows of the queries that `attend_keeping_head` was
 * just called with, and with this `scratch`.
 */
export function add_columns_head(out: number, out_stride: number, n_tokens: number, n_groups: number, head_dim: number, positions: number, length: number, first_position: number, window: number, scratch: number): void;

/**
 * Adds sums of |w . v| to `norms` f32`[n_rows]` over the rows w of weight f32`[n_weights, stride]`
 * from `column`; values are `n_rows` rows, `codec` 0 f32, 1 f16, 2 q8.
 */
export function add_output_norms(codec: number, norms: number, values: number, n_rows: number, head_dim: number, weight: number, n_weights: number, stride: number, column: number, scratch: number): void;

/**
 * Writes one head's vectors of x f32[n_tokens, stride] from `column` as rows at `rows`
 * (`n_tokens` of them).
 */
export function append_rows(codec: number, rows: number, x: number, n_tokens: number, stride: number, column: number, head_dim: number): void;

/**
 * The first index of the largest of `logits` f32`[n]`; NaN never wins.
 */
export function arg_max(logits: number, n: number): number;

/**
 * r" Attention of the queries of one kv head; arguments as `export_attention` says.
 */
export function attend_head(codec: number, out: number, out_stride: number, out_column: number, q: number, q_stride: number, q_column: number, n_tokens: number, n_groups: number, head_dim: number, keys: number, values: number, positions: number, length: number, first_position: number, scale: number, window: number, scratch: number): void;

/**
 * r" As `attend_head`, the same bits; what `add_columns_head` needs stays in `scratch`.
 */
export function attend_keeping_head(codec: number, out: number, out_stride: number, out_column: number, q: number, q_stride: number, q_column: number, n_tokens: number, n_groups: number, head_dim: number, keys: number, values: number, positions: number, length: number, first_position: number, scale: number, window: number, scratch: number): void;

/**
 * f32 elements of scratch for `attend`.
 */
export function attend_scratch_len(n_queries: number, head_dim: number): number;

/**
 * Attention of one token's queries of one kv head over split `split` of its rows, unmerged, to out
 * f32[`split_len`]; q f32[n_groups, head_dim].
 */
export function attend_split_head(codec: number, out: number, q: number, n_groups: number, head_dim: number, keys: number, values: number, positions: number, length: number, position: number, scale: number, window: number, split: number, scratch: number): void;

/**
 * Adds `old_sums` f32`[n_old]` to `sums` f32`[n]` where positions are the same.
 */
export function carry(old_positions: number, old_sums: number, n_old: number, positions: number, sums: number, n: number): void;

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
 * Scores of `keys` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`. `mean` f32`[n_groups,
 * head_dim]` and `covariance` f32`[n_groups, head_dim, head_dim]` (where `has_covariance` is not
 * 0) are of queries before rotation and are overwritten; `frequencies` is f32`[head_dim / 2]`;
 * `style` is 0 for pairs (2i, 2i + 1), 1 for (i, i + head_dim / 2). `logits` f32`[n_rows]` is
 * scratch. `head_dim` is a multiple of 4.
 */
export function expected_attention(keys: number, n_rows: number, head_dim: number, mean: number, covariance: number, has_covariance: number, n_groups: number, frequencies: number, style: number, first_position: number, n_future: number, scale: number, logits: number, out: number): void;

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
 * may start where `src` starts if the codecs are the same.
 */
export function gather_rows(dst_codec: number, dst: number, src_codec: number, src: number, keep: number, n: number, d: number): void;

/**
 * `scores` f32`[n_heads, n]` to `out` f32`[n_heads / n_groups, n]`, over the `n_groups` query
 * heads of each kv head; `by` is 0 mean, 1 max, 2 sum.
 */
export function group_reduce(scores: number, n_heads: number, n_groups: number, n: number, by: number, out: number): void;

/**
 * Whether weights of tensor type `ty` are multiplied with narrow activation codes in this build.
 */
export function is_narrow(ty: number): boolean;

/**
 * Whether tensor type `ty` has a packed layout.
 */
export function is_packed(ty: number): boolean;

/**
 * f32 elements of scratch for `attend_keeping` and `add_columns`.
 */
export function kept_scratch_len(n_queries: number, head_dim: number, n_rows: number): number;

/**
 * Scores of `keys` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`; `anchor` f64`[head_dim]` is
 * scratch.
 */
export function key_diff(keys: number, n_rows: number, head_dim: number, anchor: number, out: number): void;

/**
 * Scores of `keys` and `values` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`; returns how many
 * rows lie after the last scored partition. `scale` is 0 rank, 1 score. Scratch: `ranges`
 * f32`[2 * head_dim]`, `scores` f32`[lag_size]`, `order` u64`[lag_size]`.
 */
export function lag_scores(keys: number, values: number, n_rows: number, head_dim: number, n_sink: number, lag_size: number, scale: number, ranges: number, scores: number, order: number, out: number): number;

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
 * out f32[n_groups, head_dim] = the attention of one token from its `n_splits` splits.
 */
export function merge_splits_head(out: number, splits: number, n_splits: number, n_groups: number, head_dim: number): void;

/**
 * Rows, first to `n_first`-th and then newest to oldest, that hold the norm of `weights` f32`[n]`.
 */
export function norm_prefix(weights: number, n: number, n_first: number, threshold: number): number;

/**
 * Norms (weight not 0) and rotates `n_heads` heads of each token of x f32[n_tokens, stride] from
 * `column`; table f32[n_tokens, head_dim]; `style` 0 interleaved, 1 half.
 */
export function norm_rotate(x: number, n_tokens: number, stride: number, column: number, n_heads: number, head_dim: number, table: number, style: number, weight: number, eps: number): void;

/**
 * f32 elements of scratch for `add_output_norms`.
 */
export function output_norms_scratch_len(head_dim: number): number;

/**
 * Packs `n` rows of GGUF blocks at `rows` as rows `first_row ..` (a multiple of 8) of `weight`.
 */
export function pack_rows(ty: number, weight: number, first_row: number, rows: number, n: number, n_cols: number, scratch: number): void;

/**
 * f32 elements of scratch for `pack_rows`.
 */
export function pack_scratch_len(n_cols: number): number;

/**
 * Tokens that the quantised form of `n_tokens` has place for.
 */
export function padded_tokens(n_tokens: number): number;

/**
 * Tokens of x f32[n_tokens, n_cols] with a massive activation, to `list` u32[n_tokens]; their number.
 */
export function peaked_tokens(list: number, x: number, n_tokens: number, n_cols: number): number;

/**
 * Divides `sums` f32`[n]` by the number of the newest `n_queries` queries that see each row.
 */
export function per_query(sums: number, positions: number, n: number, next_position: number, n_queries: number): void;

/**
 * 1-D pooling of each row of `scores` f32`[n_rows, n]` to `out`, same shape; `kernel` is odd, `by`
 * is 0 average, 1 max.
 */
export function pool(scores: number, n_rows: number, n: number, kernel: number, by: number, out: number): void;

/**
 * Rows of one head per layer, the exact form: `out` u32`[n_layers]` with the sum `total`. `shares`
 * f64`[n_layers]` and `high` u32`[n_layers]` are scratch.
 */
export function pyramid_exact(n_layers: number, total: number, low: number, n_rows: number, window: number, beta: number, shares: number, high: number, out: number): void;

/**
 * Rows of one head per layer, each rounded on its own: `out` u32`[n_layers]`.
 */
export function pyramid_rounded(n_layers: number, mean: number, n_rows: number, window: number, beta: number, out: number): void;

/**
 * x f32[n_tokens, n_cols] to codes (2 bytes each, 1 where narrow) and f32 scales and i32 sums
 * [n_cols / 32, 2], of as many tokens as `padded_tokens` says.
 */
export function quantize(codes: number, scales: number, sums: number, x: number, n_tokens: number, n_cols: number, is_narrow: boolean): void;

/**
 * Adds the queries of one head before rotation to `sums` f64`[head_dim]` and their products to the
 * f64`[head_dim, head_dim]` behind it; q f32`[n_tokens, q_stride]` from `q_column`.
 */
export function query_sums_head(sums: number, q: number, q_stride: number, q_column: number, n_tokens: number, head_dim: number, table: number, style: number, scratch: number): void;

/**
 * f32 elements of scratch for `query_sums_head`.
 */
export function query_sums_scratch_len(head_dim: number): number;

/**
 * `out` f32`[n]`: uniform in [0, 1), the same for the same `seed` and `stream`.
 */
export function random_scores(seed: number, stream: number, n: number, out: number): void;

/**
 * out f32[n_cols] = x f32[n_cols] less what its codes stand for.
 */
export function residual(out: number, x: number, n_cols: number): void;

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
 * Turns `n` rows (`codec` 0 f32, 1 f16, 2 q8) from `positions` u32`[n]` to `targets`
 * u32`[n]`; `frequencies` f32`[head_dim / 2]`, `style` 0 interleaved, 1 half.
 */
export function rotate_rows(codec: number, rows: number, positions: number, targets: number, n: number, head_dim: number, frequencies: number, style: number): void;

/**
 * Norms of `rows` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`.
 */
export function row_norms(rows: number, n_rows: number, head_dim: number, out: number): void;

/**
 * `scores` f32`[n]` to `out` f32`[n_units]`; `bounds` u32`[n_units, 2]`. `is_mean` 0: sum.
 */
export function score_units(scores: number, n: number, bounds: number, n_units: number, is_mean: number, out: number): void;

/**
 * The select rule over `scores` f32`[n]`: `forced` u32`[n_forced]` and the best of the rest, to
 * `out` u32`[min(n, max(budget, n_forced))]`, ascending. Returns the number of indices written.
 * `keys` u32`[n]` is scratch.
 */
export function select(scores: number, n: number, budget: number, forced: number, n_forced: number, keys: number, out: number): number;

/**
 * Rows of the best units and `forced` u32`[n_forced]`, to `out` u32`[max(budget, n_forced)]`, ascending;
 * returns how many. `scores` f32`[n_units]`, `bounds` u32`[n_units, 2]`; `fill` is 0 skip, 1 stop,
 * 2 exact, 3 floor. `order` u32`[n_units]` and `is_kept` u32`[n_rows]` are scratch.
 */
export function select_units(scores: number, bounds: number, n_units: number, n_rows: number, budget: number, forced: number, n_forced: number, fill: number, order: number, is_kept: number, out: number): number;

/**
 * Softmax of `x` f32`[n]` in place.
 */
export function softmax(x: number, n: number): void;

/**
 * Divides `n_free` rows beyond the reserved ones among `n_heads` heads: `out` u32`[n_heads]`.
 *
 * `scores` f32`[n_scores]`, head after head; `lengths`, `n_reserved` u32`[n_heads]`; `reserved`
 * u32`[sum of n_reserved]`. `is_safe` 0: mixing. `keys` u32`[n_scores]`, `shares` f64`[n_heads]` and
 * `high` u32`[n_heads]` are scratch.
 */
export function split(n_heads: number, scores: number, n_scores: number, lengths: number, reserved: number, n_all_reserved: number, n_reserved: number, n_free: number, alpha: number, is_safe: number, keys: number, shares: number, high: number, out: number): void;

/**
 * f32 elements that `attend_split_head` leaves for `merge_splits_head`.
 */
export function split_len(n_groups: number, head_dim: number): number;

/**
 * Rows of a split: parts of one token's attention that threads may take.
 */
export function split_rows(): number;

/**
 * The indices of the `k` largest of `logits` f32`[n]` to `tokens` u32`[k]`, descending, ties to
 * the lower index; `k <= n`. `heap` u64`[k]` is scratch.
 */
export function top_k_logits(logits: number, n: number, k: number, heap: number, tokens: number): void;

/**
 * `scores[i] = (scores[i] + epsilon) * weights[i]` over f32`[n]`.
 */
export function weigh(scores: number, weights_at: number, n: number, epsilon: number): void;

/**
 * Bytes of a matrix of tensor type `ty` in the layout that `mat_mul` reads; `is_raw`: GGUF blocks.
 */
export function weight_bytes(ty: number, n_rows: number, n_cols: number, is_raw: boolean): number;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly add: (a: number, b: number, c: number) => void;
    readonly add_bias: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly add_columns_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number) => void;
    readonly add_output_norms: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number) => void;
    readonly append_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly arg_max: (a: number, b: number) => number;
    readonly attend_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number, r: number) => void;
    readonly attend_keeping_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number, r: number) => void;
    readonly attend_scratch_len: (a: number, b: number) => number;
    readonly attend_split_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number) => void;
    readonly carry: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly dequantize: (a: number, b: number, c: number, d: number) => number;
    readonly embed_packed_row: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly embed_row: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly expected_attention: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number) => void;
    readonly f16_to_f32: (a: number, b: number, c: number) => void;
    readonly f32_to_f16: (a: number, b: number, c: number) => void;
    readonly gate: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly gather_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly group_reduce: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly is_narrow: (a: number) => number;
    readonly is_packed: (a: number) => number;
    readonly kept_scratch_len: (a: number, b: number, c: number) => number;
    readonly key_diff: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly lag_scores: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number) => number;
    readonly log_sum_exp: (a: number, b: number) => number;
    readonly mat_mul_packed: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number) => void;
    readonly mat_mul_raw: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number) => void;
    readonly mat_mul_scratch_len: (a: number) => number;
    readonly measure_scratch_len: (a: number, b: number) => number;
    readonly measure_window_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number) => void;
    readonly merge_splits_head: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly norm_prefix: (a: number, b: number, c: number, d: number) => number;
    readonly norm_rotate: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number) => void;
    readonly output_norms_scratch_len: (a: number) => number;
    readonly pack_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly pack_scratch_len: (a: number) => number;
    readonly padded_tokens: (a: number) => number;
    readonly peaked_tokens: (a: number, b: number, c: number, d: number) => number;
    readonly per_query: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly pool: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly pyramid_exact: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => void;
    readonly pyramid_rounded: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly quantize: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => void;
    readonly query_sums_head: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => void;
    readonly query_sums_scratch_len: (a: number) => number;
    readonly random_scores: (a: number, b: number, c: number, d: number) => void;
    readonly residual: (a: number, b: number, c: number) => void;
    readonly rms_norm: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly rope_frequencies: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly rope_table: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly rotate_rows: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => void;
    readonly row_norms: (a: number, b: number, c: number, d: number) => void;
    readonly score_units: (a: number, b: number, c: number, d: number, e: number, f: number) => void;
    readonly select: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => number;
    readonly select_units: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number) => number;
    readonly softmax: (a: number, b: number) => void;
    readonly split: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number) => void;
    readonly split_len: (a: number, b: number) => number;
    readonly split_rows: () => number;
    readonly top_k_logits: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly weigh: (a: number, b: number, c: number, d: number) => void;
    readonly weight_bytes: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_thread_destroy: (a?: number, b?: number, c?: number) => void;
    readonly __wbindgen_start: (a: number) => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput, memory?: WebAssembly.Memory, thread_stack_size?: number }} module - Passing `SyncInitInput` directly is deprecated.
 * @param {WebAssembly.Memory} memory - Deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput, memory?: WebAssembly.Memory, thread_stack_size?: number } | SyncInitInput, memory?: WebAssembly.Memory): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput>, memory?: WebAssembly.Memory, thread_stack_size?: number }} module_or_path - Passing `InitInput` directly is deprecated.
 * @param {WebAssembly.Memory} memory - Deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput>, memory?: WebAssembly.Memory, thread_stack_size?: number } | InitInput | Promise<InitInput>, memory?: WebAssembly.Memory): Promise<InitOutput>;

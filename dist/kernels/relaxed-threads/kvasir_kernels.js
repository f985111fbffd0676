/* @ts-self-types="./kvasir_kernels.d.ts" */

/**
 * x f32[n] += y f32[n].
 * @param {number} x
 * @param {number} y
 * @param {number} n
 */
export function add(x, y, n) {
    wasm.add(x, y, n);
}

/**
 * x f32[n_tokens, stride] at `column`: adds bias f32[size].
 * @param {number} x
 * @param {number} bias
 * @param {number} n_tokens
 * @param {number} stride
 * @param {number} column
 * @param {number} size
 */
export function add_bias(x, bias, n_tokens, stride, column, size) {
    wasm.add_bias(x, bias, n_tokens, stride, column, size);
}

/**
 * Adds to out f32[n_groups, out_stride] the softmax rows of the queries that `attend_keeping_head` was
 * just called with, and with this `scratch`.
 * @param {number} out
 * @param {number} out_stride
 * @param {number} n_tokens
 * @param {number} n_groups
 * @param {number} head_dim
 * @param {number} positions
 * @param {number} length
 * @param {number} first_position
 * @param {number} window
 * @param {number} scratch
 */
export function add_columns_head(out, out_stride, n_tokens, n_groups, head_dim, positions, length, first_position, window, scratch) {
    wasm.add_columns_head(out, out_stride, n_tokens, n_groups, head_dim, positions, length, first_position, window, scratch);
}

/**
 * Adds sums of |w . v| to `norms` f32`[n_rows]` over the rows w of weight f32`[n_weights, stride]`
 * from `column`; values are `n_rows` rows, `codec` 0 f32, 1 f16, 2 q8.
 * @param {number} codec
 * @param {number} norms
 * @param {number} values
 * @param {number} n_rows
 * @param {number} head_dim
 * @param {number} weight
 * @param {number} n_weights
 * @param {number} stride
 * @param {number} column
 * @param {number} scratch
 */
export function add_output_norms(codec, norms, values, n_rows, head_dim, weight, n_weights, stride, column, scratch) {
    wasm.add_output_norms(codec, norms, values, n_rows, head_dim, weight, n_weights, stride, column, scratch);
}

/**
 * Writes one head's vectors of x f32[n_tokens, stride] from `column` as rows at `rows`
 * (`n_tokens` of them).
 * @param {number} codec
 * @param {number} rows
 * @param {number} x
 * @param {number} n_tokens
 * @param {number} stride
 * @param {number} column
 * @param {number} head_dim
 */
export function append_rows(codec, rows, x, n_tokens, stride, column, head_dim) {
    wasm.append_rows(codec, rows, x, n_tokens, stride, column, head_dim);
}

/**
 * The first index of the largest of `logits` f32`[n]`; NaN never wins.
 * @param {number} logits
 * @param {number} n
 * @returns {number}
 */
export function arg_max(logits, n) {
    const ret = wasm.arg_max(logits, n);
    return ret >>> 0;
}

/**
 * r" Attention of the queries of one kv head; arguments as `export_attention` says.
 * @param {number} codec
 * @param {number} out
 * @param {number} out_stride
 * @param {number} out_column
 * @param {number} q
 * @param {number} q_stride
 * @param {number} q_column
 * @param {number} n_tokens
 * @param {number} n_groups
 * @param {number} head_dim
 * @param {number} keys
 * @param {number} values
 * @param {number} positions
 * @param {number} length
 * @param {number} first_position
 * @param {number} scale
 * @param {number} window
 * @param {number} scratch
 */
export function attend_head(codec, out, out_stride, out_column, q, q_stride, q_column, n_tokens, n_groups, head_dim, keys, values, positions, length, first_position, scale, window, scratch) {
    wasm.attend_head(codec, out, out_stride, out_column, q, q_stride, q_column, n_tokens, n_groups, head_dim, keys, values, positions, length, first_position, scale, window, scratch);
}

/**
 * r" As `attend_head`, the same bits; what `add_columns_head` needs stays in `scratch`.
 * @param {number} codec
 * @param {number} out
 * @param {number} out_stride
 * @param {number} out_column
 * @param {number} q
 * @param {number} q_stride
 * @param {number} q_column
 * @param {number} n_tokens
 * @param {number} n_groups
 * @param {number} head_dim
 * @param {number} keys
 * @param {number} values
 * @param {number} positions
 * @param {number} length
 * @param {number} first_position
 * @param {number} scale
 * @param {number} window
 * @param {number} scratch
 */
export function attend_keeping_head(codec, out, out_stride, out_column, q, q_stride, q_column, n_tokens, n_groups, head_dim, keys, values, positions, length, first_position, scale, window, scratch) {
    wasm.attend_keeping_head(codec, out, out_stride, out_column, q, q_stride, q_column, n_tokens, n_groups, head_dim, keys, values, positions, length, first_position, scale, window, scratch);
}

/**
 * f32 elements of scratch for `attend`.
 * @param {number} n_queries
 * @param {number} head_dim
 * @returns {number}
 */
export function attend_scratch_len(n_queries, head_dim) {
    const ret = wasm.attend_scratch_len(n_queries, head_dim);
    return ret >>> 0;
}

/**
 * Attention of one token's queries of one kv head over split `split` of its rows, unmerged, to out
 * f32[`split_len`]; q f32[n_groups, head_dim].
 * @param {number} codec
 * @param {number} out
 * @param {number} q
 * @param {number} n_groups
 * @param {number} head_dim
 * @param {number} keys
 * @param {number} values
 * @param {number} positions
 * @param {number} length
 * @param {number} position
 * @param {number} scale
 * @param {number} window
 * @param {number} split
 * @param {number} scratch
 */
export function attend_split_head(codec, out, q, n_groups, head_dim, keys, values, positions, length, position, scale, window, split, scratch) {
    wasm.attend_split_head(codec, out, q, n_groups, head_dim, keys, values, positions, length, position, scale, window, split, scratch);
}

/**
 * Adds `old_sums` f32`[n_old]` to `sums` f32`[n]` where positions are the same.
 * @param {number} old_positions
 * @param {number} old_sums
 * @param {number} n_old
 * @param {number} positions
 * @param {number} sums
 * @param {number} n
 */
export function carry(old_positions, old_sums, n_old, positions, sums, n) {
    wasm.carry(old_positions, old_sums, n_old, positions, sums, n);
}

/**
 * Blocks of ggml type `tensor_type` at `blocks` to `out` f32`[n]`; `n` is a multiple of the block
 * size. Returns false, and writes nothing, for a type that is not known.
 * @param {number} tensor_type
 * @param {number} blocks
 * @param {number} n
 * @param {number} out
 * @returns {boolean}
 */
export function dequantize(tensor_type, blocks, n, out) {
    const ret = wasm.dequantize(tensor_type, blocks, n, out);
    return ret !== 0;
}

/**
 * Row `row` of a packed weight to f32[n_cols], times `scale`.
 * @param {number} ty
 * @param {number} out
 * @param {number} weight
 * @param {number} row
 * @param {number} n_cols
 * @param {number} scale
 */
export function embed_packed_row(ty, out, weight, row, n_cols, scale) {
    wasm.embed_packed_row(ty, out, weight, row, n_cols, scale);
}

/**
 * One row of GGUF blocks to f32[n_cols], times `scale`.
 * @param {number} ty
 * @param {number} out
 * @param {number} row
 * @param {number} n_cols
 * @param {number} scale
 */
export function embed_row(ty, out, row, n_cols, scale) {
    wasm.embed_row(ty, out, row, n_cols, scale);
}

/**
 * Scores of `keys` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`. `mean` f32`[n_groups,
 * head_dim]` and `covariance` f32`[n_groups, head_dim, head_dim]` (where `has_covariance` is not
 * 0) are of queries before rotation and are overwritten; `frequencies` is f32`[head_dim / 2]`;
 * `style` is 0 for pairs (2i, 2i + 1), 1 for (i, i + head_dim / 2). `logits` f32`[n_rows]` is
 * scratch. `head_dim` is a multiple of 4.
 * @param {number} keys
 * @param {number} n_rows
 * @param {number} head_dim
 * @param {number} mean
 * @param {number} covariance
 * @param {number} has_covariance
 * @param {number} n_groups
 * @param {number} frequencies
 * @param {number} style
 * @param {number} first_position
 * @param {number} n_future
 * @param {number} scale
 * @param {number} logits
 * @param {number} out
 */
export function expected_attention(keys, n_rows, head_dim, mean, covariance, has_covariance, n_groups, frequencies, style, first_position, n_future, scale, logits, out) {
    wasm.expected_attention(keys, n_rows, head_dim, mean, covariance, has_covariance, n_groups, frequencies, style, first_position, n_future, scale, logits, out);
}

/**
 * f16 bits at `halves` u16`[n]` to `out` f32`[n]`, exact.
 * @param {number} halves
 * @param {number} n
 * @param {number} out
 */
export function f16_to_f32(halves, n, out) {
    wasm.f16_to_f32(halves, n, out);
}

/**
 * `values` f32`[n]` to f16 bits at `out` u16`[n]`, ties to even.
 * @param {number} values
 * @param {number} n
 * @param {number} out
 */
export function f32_to_f16(values, n, out) {
    wasm.f32_to_f16(values, n, out);
}

/**
 * out f32[n_tokens, size] from gate_up f32[n_tokens, 2 size]; `kind` 0 silu, 1 gelu-tanh.
 * @param {number} out
 * @param {number} gate_up
 * @param {number} n_tokens
 * @param {number} size
 * @param {number} kind
 */
export function gate(out, gate_up, n_tokens, size, kind) {
    wasm.gate(out, gate_up, n_tokens, size, kind);
}

/**
 * Rows `keep` u32[n] (ascending, from the head's first) of `src` to the first rows of `dst`, which
 * may start where `src` starts if the codecs are the same.
 * @param {number} dst_codec
 * @param {number} dst
 * @param {number} src_codec
 * @param {number} src
 * @param {number} keep
 * @param {number} n
 * @param {number} d
 */
export function gather_rows(dst_codec, dst, src_codec, src, keep, n, d) {
    wasm.gather_rows(dst_codec, dst, src_codec, src, keep, n, d);
}

/**
 * `scores` f32`[n_heads, n]` to `out` f32`[n_heads / n_groups, n]`, over the `n_groups` query
 * heads of each kv head; `by` is 0 mean, 1 max, 2 sum.
 * @param {number} scores
 * @param {number} n_heads
 * @param {number} n_groups
 * @param {number} n
 * @param {number} by
 * @param {number} out
 */
export function group_reduce(scores, n_heads, n_groups, n, by, out) {
    wasm.group_reduce(scores, n_heads, n_groups, n, by, out);
}

/**
 * Whether weights of tensor type `ty` are multiplied with narrow activation codes in this build.
 * @param {number} ty
 * @returns {boolean}
 */
export function is_narrow(ty) {
    const ret = wasm.is_narrow(ty);
    return ret !== 0;
}

/**
 * Whether tensor type `ty` has a packed layout.
 * @param {number} ty
 * @returns {boolean}
 */
export function is_packed(ty) {
    const ret = wasm.is_packed(ty);
    return ret !== 0;
}

/**
 * f32 elements of scratch for `attend_keeping` and `add_columns`.
 * @param {number} n_queries
 * @param {number} head_dim
 * @param {number} n_rows
 * @returns {number}
 */
export function kept_scratch_len(n_queries, head_dim, n_rows) {
    const ret = wasm.kept_scratch_len(n_queries, head_dim, n_rows);
    return ret >>> 0;
}

/**
 * Scores of `keys` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`; `anchor` f64`[head_dim]` is
 * scratch.
 * @param {number} keys
 * @param {number} n_rows
 * @param {number} head_dim
 * @param {number} anchor
 * @param {number} out
 */
export function key_diff(keys, n_rows, head_dim, anchor, out) {
    wasm.key_diff(keys, n_rows, head_dim, anchor, out);
}

/**
 * Scores of `keys` and `values` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`; returns how many
 * rows lie after the last scored partition. `scale` is 0 rank, 1 score. Scratch: `ranges`
 * f32`[2 * head_dim]`, `scores` f32`[lag_size]`, `order` u64`[lag_size]`.
 * @param {number} keys
 * @param {number} values
 * @param {number} n_rows
 * @param {number} head_dim
 * @param {number} n_sink
 * @param {number} lag_size
 * @param {number} scale
 * @param {number} ranges
 * @param {number} scores
 * @param {number} order
 * @param {number} out
 * @returns {number}
 */
export function lag_scores(keys, values, n_rows, head_dim, n_sink, lag_size, scale, ranges, scores, order, out) {
    const ret = wasm.lag_scores(keys, values, n_rows, head_dim, n_sink, lag_size, scale, ranges, scores, order, out);
    return ret >>> 0;
}

/**
 * ln of the sum of e^x over `x` f32`[n]`.
 * @param {number} x
 * @param {number} n
 * @returns {number}
 */
export function log_sum_exp(x, n) {
    const ret = wasm.log_sum_exp(x, n);
    return ret;
}

/**
 * out f32[n_tokens, stride] at `column` = rows [begin, end) of a packed weight times quantised x.
 * @param {number} ty
 * @param {number} out
 * @param {number} stride
 * @param {number} column
 * @param {number} codes
 * @param {number} scales
 * @param {number} sums
 * @param {number} n_tokens
 * @param {number} weight
 * @param {number} n_rows
 * @param {number} n_cols
 * @param {number} begin
 * @param {number} end
 */
export function mat_mul_packed(ty, out, stride, column, codes, scales, sums, n_tokens, weight, n_rows, n_cols, begin, end) {
    wasm.mat_mul_packed(ty, out, stride, column, codes, scales, sums, n_tokens, weight, n_rows, n_cols, begin, end);
}

/**
 * out f32[n_tokens, stride] at `column` = rows [begin, end) of a weight of GGUF blocks times x.
 * @param {number} ty
 * @param {number} out
 * @param {number} stride
 * @param {number} column
 * @param {number} x
 * @param {number} n_tokens
 * @param {number} weight
 * @param {number} n_rows
 * @param {number} n_cols
 * @param {number} begin
 * @param {number} end
 * @param {number} scratch
 */
export function mat_mul_raw(ty, out, stride, column, x, n_tokens, weight, n_rows, n_cols, begin, end, scratch) {
    wasm.mat_mul_raw(ty, out, stride, column, x, n_tokens, weight, n_rows, n_cols, begin, end, scratch);
}

/**
 * f32 elements of scratch for `mat_mul_raw`.
 * @param {number} n_cols
 * @returns {number}
 */
export function mat_mul_scratch_len(n_cols) {
    const ret = wasm.mat_mul_scratch_len(n_cols);
    return ret >>> 0;
}

/**
 * f32 elements of scratch for `measure_window`.
 * @param {number} n_rows
 * @param {number} head_dim
 * @returns {number}
 */
export function measure_scratch_len(n_rows, head_dim) {
    const ret = wasm.measure_scratch_len(n_rows, head_dim);
    return ret >>> 0;
}

/**
 * out f32[n_groups, out_stride] += softmax rows of the queries of one kv head, summed over tokens.
 * @param {number} codec
 * @param {number} out
 * @param {number} out_stride
 * @param {number} q
 * @param {number} q_stride
 * @param {number} q_column
 * @param {number} n_tokens
 * @param {number} n_groups
 * @param {number} head_dim
 * @param {number} keys
 * @param {number} positions
 * @param {number} length
 * @param {number} first_position
 * @param {number} scale
 * @param {number} window
 * @param {number} scratch
 */
export function measure_window_head(codec, out, out_stride, q, q_stride, q_column, n_tokens, n_groups, head_dim, keys, positions, length, first_position, scale, window, scratch) {
    wasm.measure_window_head(codec, out, out_stride, q, q_stride, q_column, n_tokens, n_groups, head_dim, keys, positions, length, first_position, scale, window, scratch);
}

/**
 * out f32[n_groups, head_dim] = the attention of one token from its `n_splits` splits.
 * @param {number} out
 * @param {number} splits
 * @param {number} n_splits
 * @param {number} n_groups
 * @param {number} head_dim
 */
export function merge_splits_head(out, splits, n_splits, n_groups, head_dim) {
    wasm.merge_splits_head(out, splits, n_splits, n_groups, head_dim);
}

/**
 * Rows, first to `n_first`-th and then newest to oldest, that hold the norm of `weights` f32`[n]`.
 * @param {number} weights
 * @param {number} n
 * @param {number} n_first
 * @param {number} threshold
 * @returns {number}
 */
export function norm_prefix(weights, n, n_first, threshold) {
    const ret = wasm.norm_prefix(weights, n, n_first, threshold);
    return ret >>> 0;
}

/**
 * Norms (weight not 0) and rotates `n_heads` heads of each token of x f32[n_tokens, stride] from
 * `column`; table f32[n_tokens, head_dim]; `style` 0 interleaved, 1 half.
 * @param {number} x
 * @param {number} n_tokens
 * @param {number} stride
 * @param {number} column
 * @param {number} n_heads
 * @param {number} head_dim
 * @param {number} table
 * @param {number} style
 * @param {number} weight
 * @param {number} eps
 */
export function norm_rotate(x, n_tokens, stride, column, n_heads, head_dim, table, style, weight, eps) {
    wasm.norm_rotate(x, n_tokens, stride, column, n_heads, head_dim, table, style, weight, eps);
}

/**
 * f32 elements of scratch for `add_output_norms`.
 * @param {number} head_dim
 * @returns {number}
 */
export function output_norms_scratch_len(head_dim) {
    const ret = wasm.output_norms_scratch_len(head_dim);
    return ret >>> 0;
}

/**
 * Packs `n` rows of GGUF blocks at `rows` as rows `first_row ..` (a multiple of 8) of `weight`.
 * @param {number} ty
 * @param {number} weight
 * @param {number} first_row
 * @param {number} rows
 * @param {number} n
 * @param {number} n_cols
 * @param {number} scratch
 */
export function pack_rows(ty, weight, first_row, rows, n, n_cols, scratch) {
    wasm.pack_rows(ty, weight, first_row, rows, n, n_cols, scratch);
}

/**
 * f32 elements of scratch for `pack_rows`.
 * @param {number} n_cols
 * @returns {number}
 */
export function pack_scratch_len(n_cols) {
    const ret = wasm.pack_scratch_len(n_cols);
    return ret >>> 0;
}

/**
 * Tokens that the quantised form of `n_tokens` has place for.
 * @param {number} n_tokens
 * @returns {number}
 */
export function padded_tokens(n_tokens) {
    const ret = wasm.padded_tokens(n_tokens);
    return ret >>> 0;
}

/**
 * Tokens of x f32[n_tokens, n_cols] with a massive activation, to `list` u32[n_tokens]; their number.
 * @param {number} list
 * @param {number} x
 * @param {number} n_tokens
 * @param {number} n_cols
 * @returns {number}
 */
export function peaked_tokens(list, x, n_tokens, n_cols) {
    const ret = wasm.peaked_tokens(list, x, n_tokens, n_cols);
    return ret >>> 0;
}

/**
 * Divides `sums` f32`[n]` by the number of the newest `n_queries` queries that see each row.
 * @param {number} sums
 * @param {number} positions
 * @param {number} n
 * @param {number} next_position
 * @param {number} n_queries
 */
export function per_query(sums, positions, n, next_position, n_queries) {
    wasm.per_query(sums, positions, n, next_position, n_queries);
}

/**
 * 1-D pooling of each row of `scores` f32`[n_rows, n]` to `out`, same shape; `kernel` is odd, `by`
 * is 0 average, 1 max.
 * @param {number} scores
 * @param {number} n_rows
 * @param {number} n
 * @param {number} kernel
 * @param {number} by
 * @param {number} out
 */
export function pool(scores, n_rows, n, kernel, by, out) {
    wasm.pool(scores, n_rows, n, kernel, by, out);
}

/**
 * Rows of one head per layer, the exact form: `out` u32`[n_layers]` with the sum `total`. `shares`
 * f64`[n_layers]` and `high` u32`[n_layers]` are scratch.
 * @param {number} n_layers
 * @param {number} total
 * @param {number} low
 * @param {number} n_rows
 * @param {number} window
 * @param {number} beta
 * @param {number} shares
 * @param {number} high
 * @param {number} out
 */
export function pyramid_exact(n_layers, total, low, n_rows, window, beta, shares, high, out) {
    wasm.pyramid_exact(n_layers, total, low, n_rows, window, beta, shares, high, out);
}

/**
 * Rows of one head per layer, each rounded on its own: `out` u32`[n_layers]`.
 * @param {number} n_layers
 * @param {number} mean
 * @param {number} n_rows
 * @param {number} window
 * @param {number} beta
 * @param {number} out
 */
export function pyramid_rounded(n_layers, mean, n_rows, window, beta, out) {
    wasm.pyramid_rounded(n_layers, mean, n_rows, window, beta, out);
}

/**
 * x f32[n_tokens, n_cols] to codes (2 bytes each, 1 where narrow) and f32 scales and i32 sums
 * [n_cols / 32, 2], of as many tokens as `padded_tokens` says.
 * @param {number} codes
 * @param {number} scales
 * @param {number} sums
 * @param {number} x
 * @param {number} n_tokens
 * @param {number} n_cols
 * @param {boolean} is_narrow
 */
export function quantize(codes, scales, sums, x, n_tokens, n_cols, is_narrow) {
    wasm.quantize(codes, scales, sums, x, n_tokens, n_cols, is_narrow);
}

/**
 * Adds the queries of one head before rotation to `sums` f64`[head_dim]` and their products to the
 * f64`[head_dim, head_dim]` behind it; q f32`[n_tokens, q_stride]` from `q_column`.
 * @param {number} sums
 * @param {number} q
 * @param {number} q_stride
 * @param {number} q_column
 * @param {number} n_tokens
 * @param {number} head_dim
 * @param {number} table
 * @param {number} style
 * @param {number} scratch
 */
export function query_sums_head(sums, q, q_stride, q_column, n_tokens, head_dim, table, style, scratch) {
    wasm.query_sums_head(sums, q, q_stride, q_column, n_tokens, head_dim, table, style, scratch);
}

/**
 * f32 elements of scratch for `query_sums_head`.
 * @param {number} head_dim
 * @returns {number}
 */
export function query_sums_scratch_len(head_dim) {
    const ret = wasm.query_sums_scratch_len(head_dim);
    return ret >>> 0;
}

/**
 * `out` f32`[n]`: uniform in [0, 1), the same for the same `seed` and `stream`.
 * @param {number} seed
 * @param {number} stream
 * @param {number} n
 * @param {number} out
 */
export function random_scores(seed, stream, n, out) {
    wasm.random_scores(seed, stream, n, out);
}

/**
 * out f32[n_cols] = x f32[n_cols] less what its codes stand for.
 * @param {number} out
 * @param {number} x
 * @param {number} n_cols
 */
export function residual(out, x, n_cols) {
    wasm.residual(out, x, n_cols);
}

/**
 * out f32[n_tokens, size] = RMS norm of x, weight f32[size].
 * @param {number} out
 * @param {number} x
 * @param {number} weight
 * @param {number} n_tokens
 * @param {number} size
 * @param {number} eps
 */
export function rms_norm(out, x, weight, n_tokens, size, eps) {
    wasm.rms_norm(out, x, weight, n_tokens, size, eps);
}

/**
 * Frequencies to `out` f32`[n_pairs]`, radians a position: `base^(-i / n_pairs) / scale`, divided
 * by `factors` f32`[n_pairs]` where `n_factors` is not 0.
 * @param {number} out
 * @param {number} n_pairs
 * @param {number} base
 * @param {number} scale
 * @param {number} factors
 * @param {number} n_factors
 */
export function rope_frequencies(out, n_pairs, base, scale, factors, n_factors) {
    wasm.rope_frequencies(out, n_pairs, base, scale, factors, n_factors);
}

/**
 * Cosines and sines, interleaved, to `out` f32`[n_tokens, 2 * n_pairs]` for the positions from
 * `first_position` on; `frequencies` is f32`[n_pairs]`.
 * @param {number} out
 * @param {number} frequencies
 * @param {number} n_pairs
 * @param {number} first_position
 * @param {number} n_tokens
 */
export function rope_table(out, frequencies, n_pairs, first_position, n_tokens) {
    wasm.rope_table(out, frequencies, n_pairs, first_position, n_tokens);
}

/**
 * Turns `n` rows (`codec` 0 f32, 1 f16, 2 q8) from `positions` u32`[n]` to `targets`
 * u32`[n]`; `frequencies` f32`[head_dim / 2]`, `style` 0 interleaved, 1 half.
 * @param {number} codec
 * @param {number} rows
 * @param {number} positions
 * @param {number} targets
 * @param {number} n
 * @param {number} head_dim
 * @param {number} frequencies
 * @param {number} style
 */
export function rotate_rows(codec, rows, positions, targets, n, head_dim, frequencies, style) {
    wasm.rotate_rows(codec, rows, positions, targets, n, head_dim, frequencies, style);
}

/**
 * Norms of `rows` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`.
 * @param {number} rows
 * @param {number} n_rows
 * @param {number} head_dim
 * @param {number} out
 */
export function row_norms(rows, n_rows, head_dim, out) {
    wasm.row_norms(rows, n_rows, head_dim, out);
}

/**
 * `scores` f32`[n]` to `out` f32`[n_units]`; `bounds` u32`[n_units, 2]`. `is_mean` 0: sum.
 * @param {number} scores
 * @param {number} n
 * @param {number} bounds
 * @param {number} n_units
 * @param {number} is_mean
 * @param {number} out
 */
export function score_units(scores, n, bounds, n_units, is_mean, out) {
    wasm.score_units(scores, n, bounds, n_units, is_mean, out);
}

/**
 * The select rule over `scores` f32`[n]`: `forced` u32`[n_forced]` and the best of the rest, to
 * `out` u32`[min(n, max(budget, n_forced))]`, ascending. Returns the number of indices written.
 * `keys` u32`[n]` is scratch.
 * @param {number} scores
 * @param {number} n
 * @param {number} budget
 * @param {number} forced
 * @param {number} n_forced
 * @param {number} keys
 * @param {number} out
 * @returns {number}
 */
export function select(scores, n, budget, forced, n_forced, keys, out) {
    const ret = wasm.select(scores, n, budget, forced, n_forced, keys, out);
    return ret >>> 0;
}

/**
 * Rows of the best units and `forced` u32`[n_forced]`, to `out` u32`[max(budget, n_forced)]`, ascending;
 * returns how many. `scores` f32`[n_units]`, `bounds` u32`[n_units, 2]`; `fill` is 0 skip, 1 stop,
 * 2 exact, 3 floor. `order` u32`[n_units]` and `is_kept` u32`[n_rows]` are scratch.
 * @param {number} scores
 * @param {number} bounds
 * @param {number} n_units
 * @param {number} n_rows
 * @param {number} budget
 * @param {number} forced
 * @param {number} n_forced
 * @param {number} fill
 * @param {number} order
 * @param {number} is_kept
 * @param {number} out
 * @returns {number}
 */
export function select_units(scores, bounds, n_units, n_rows, budget, forced, n_forced, fill, order, is_kept, out) {
    const ret = wasm.select_units(scores, bounds, n_units, n_rows, budget, forced, n_forced, fill, order, is_kept, out);
    return ret >>> 0;
}

/**
 * Softmax of `x` f32`[n]` in place.
 * @param {number} x
 * @param {number} n
 */
export function softmax(x, n) {
    wasm.softmax(x, n);
}

/**
 * Divides `n_free` rows beyond the reserved ones among `n_heads` heads: `out` u32`[n_heads]`.
 *
 * `scores` f32`[n_scores]`, head after head; `lengths`, `n_reserved` u32`[n_heads]`; `reserved`
 * u32`[sum of n_reserved]`. `is_safe` 0: mixing. `keys` u32`[n_scores]`, `shares` f64`[n_heads]` and
 * `high` u32`[n_heads]` are scratch.
 * @param {number} n_heads
 * @param {number} scores
 * @param {number} n_scores
 * @param {number} lengths
 * @param {number} reserved
 * @param {number} n_all_reserved
 * @param {number} n_reserved
 * @param {number} n_free
 * @param {number} alpha
 * @param {number} is_safe
 * @param {number} keys
 * @param {number} shares
 * @param {number} high
 * @param {number} out
 */
export function split(n_heads, scores, n_scores, lengths, reserved, n_all_reserved, n_reserved, n_free, alpha, is_safe, keys, shares, high, out) {
    wasm.split(n_heads, scores, n_scores, lengths, reserved, n_all_reserved, n_reserved, n_free, alpha, is_safe, keys, shares, high, out);
}

/**
 * f32 elements that `attend_split_head` leaves for `merge_splits_head`.
 * @param {number} n_groups
 * @param {number} head_dim
 * @returns {number}
 */
export function split_len(n_groups, head_dim) {
    const ret = wasm.split_len(n_groups, head_dim);
    return ret >>> 0;
}

/**
 * Rows of a split: parts of one token's attention that threads may take.
 * @returns {number}
 */
export function split_rows() {
    const ret = wasm.split_rows();
    return ret >>> 0;
}

/**
 * The indices of the `k` largest of `logits` f32`[n]` to `tokens` u32`[k]`, descending, ties to
 * the lower index; `k <= n`. `heap` u64`[k]` is scratch.
 * @param {number} logits
 * @param {number} n
 * @param {number} k
 * @param {number} heap
 * @param {number} tokens
 */
export function top_k_logits(logits, n, k, heap, tokens) {
    wasm.top_k_logits(logits, n, k, heap, tokens);
}

/**
 * `scores[i] = (scores[i] + epsilon) * weights[i]` over f32`[n]`.
 * @param {number} scores
 * @param {number} weights_at
 * @param {number} n
 * @param {number} epsilon
 */
export function weigh(scores, weights_at, n, epsilon) {
    wasm.weigh(scores, weights_at, n, epsilon);
}

/**
 * Bytes of a matrix of tensor type `ty` in the layout that `mat_mul` reads; `is_raw`: GGUF blocks.
 * @param {number} ty
 * @param {number} n_rows
 * @param {number} n_cols
 * @param {boolean} is_raw
 * @returns {number}
 */
export function weight_bytes(ty, n_rows, n_cols, is_raw) {
    const ret = wasm.weight_bytes(ty, n_rows, n_cols, is_raw);
    return ret;
}
function __wbg_get_imports(memory) {
    const import0 = {
        __proto__: null,
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            const offset = table.grow(4);
            table.set(0, undefined);
            table.set(offset + 0, undefined);
            table.set(offset + 1, null);
            table.set(offset + 2, true);
            table.set(offset + 3, false);
        },
        memory: memory || new WebAssembly.Memory({initial:18,maximum:65536,shared:true}),
    };
    return {
        __proto__: null,
        "./kvasir_kernels_bg.js": import0,
    };
}

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module, thread_stack_size) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    if (typeof thread_stack_size !== 'undefined' && (typeof thread_stack_size !== 'number' || thread_stack_size === 0 || thread_stack_size % 65536 !== 0)) {
        throw new Error('invalid stack size');
    }

    wasm.__wbindgen_start(thread_stack_size);
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module, memory) {
    if (wasm !== undefined) return wasm;

    let thread_stack_size
    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module, memory, thread_stack_size} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports(memory);
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module, thread_stack_size);
}

async function __wbg_init(module_or_path, memory) {
    if (wasm !== undefined) return wasm;

    let thread_stack_size
    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path, memory, thread_stack_size} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }

    if (module_or_path === undefined) {
        module_or_path = new URL('kvasir_kernels_bg.wasm', import.meta.url);
    }
    const imports = __wbg_get_imports(memory);

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module, thread_stack_size);
}

export { initSync, __wbg_init as default };

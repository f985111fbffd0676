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
 * Writes one head's vectors of x f32[n_tokens, stride] from `column` as rows at `rows`
 * ([n_tokens, head_dim] cells); `codec` 0 f32, 1 f16.
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
 * Attention of the queries of one kv head over its `length` rows; q f32[n_tokens, q_stride] from
 * `q_column`, out f32[n_tokens, out_stride] from `out_column`; `codec` 0 f32, 1 f16.
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
 * may start where `src` starts; codecs as in `append_rows`.
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
 * Whether tensor type `ty` has a packed layout.
 * @param {number} ty
 * @returns {boolean}
 */
export function is_packed(ty) {
    const ret = wasm.is_packed(ty);
    return ret !== 0;
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
 * Packs `n` rows of GGUF blocks at `rows` as rows `first_row ..` (a multiple of 4) of `weight`.
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
 * x f32[n_tokens, n_cols] to i16 codes[n_tokens, n_cols], f32 scales and i32 sums
 * [n_tokens, n_cols / 32, 2].
 * @param {number} codes
 * @param {number} scales
 * @param {number} sums
 * @param {number} x
 * @param {number} n_tokens
 * @param {number} n_cols
 */
export function quantize(codes, scales, sums, x, n_tokens, n_cols) {
    wasm.quantize(codes, scales, sums, x, n_tokens, n_cols);
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
 * Softmax of `x` f32`[n]` in place.
 * @param {number} x
 * @param {number} n
 */
export function softmax(x, n) {
    wasm.softmax(x, n);
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
function __wbg_get_imports() {
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
    };
    return {
        __proto__: null,
        "./kvasir_kernels_bg.js": import0,
    };
}

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    wasm.__wbindgen_start();
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

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;


    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }

    if (module_or_path === undefined) {
        module_or_path = new URL('kvasir_kernels_bg.wasm', import.meta.url);
    }
    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };

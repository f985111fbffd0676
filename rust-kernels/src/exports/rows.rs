//! The engine's operations on cache rows: append, attend, measure, gather. Offsets are bytes into
//! linear memory, counts are elements; `codec` 0 is f32, 1 is f16, 2 is q8.
use crate::abi::{slice, slice_mut};
use crate::cache_rows::{Cells, Codec, HeadRows, MAX_HEAD_DIM, Q8};
use crate::ops::attend::{self, Queries, Target};
use wasm_bindgen::prelude::wasm_bindgen;

/// Writes one head's vectors of x f32[n_tokens, stride] from `column` as rows at `rows`
/// (`n_tokens` of them).
#[wasm_bindgen]
pub fn append_rows(
    codec: u32,
    rows: u32,
    x: u32,
    n_tokens: u32,
    stride: u32,
    column: u32,
    head_dim: u32,
) {
    fn put<C: Codec>(rows: &mut [C::Unit], x: &[f32], stride: usize, column: usize, d: usize) {
        for (row, x) in rows.chunks_exact_mut(C::row_len(d)).zip(x.chunks_exact(stride)) {
            C::encode(row, &x[column..column + d]);
        }
    }
    let (stride, column, d) = (stride as usize, column as usize, head_dim as usize);
    let n = n_tokens as usize;
    // SAFETY: the caller's arena holds both ranges, apart.
    unsafe {
        let x = slice::<f32>(x, n * stride);
        match codec {
            0 => put::<Cells<f32>>(slice_mut(rows, n * d), x, stride, column, d),
            1 => put::<Cells<u16>>(slice_mut(rows, n * d), x, stride, column, d),
            _ => put::<Q8>(slice_mut(rows, n * Q8::row_len(d)), x, stride, column, d),
        }
    }
}

/// f32 elements of scratch for `attend`.
#[wasm_bindgen]
pub fn attend_scratch_len(n_queries: u32, head_dim: u32) -> u32 {
    attend::attend_scratch_len(n_queries as usize, head_dim as usize) as u32
}

/// f32 elements of scratch for `attend_keeping` and `add_columns`.
#[wasm_bindgen]
pub fn kept_scratch_len(n_queries: u32, head_dim: u32, n_rows: u32) -> u32 {
    attend::kept_scratch_len(n_queries as usize, head_dim as usize, n_rows as usize) as u32
}

/// f32 elements of scratch for `measure_window`.
#[wasm_bindgen]
pub fn measure_scratch_len(n_rows: u32, head_dim: u32) -> u32 {
    attend::measure_scratch_len(n_rows as usize, head_dim as usize) as u32
}

/// An export of attention of the queries of one kv head over its `length` rows; q f32[n_tokens,
/// q_stride] from `q_column`, out f32[n_tokens, out_stride] from `out_column`.
macro_rules! export_attention {
    ($(#[$meta:meta])* $name:ident, $attend:ident, $scratch_len:expr) => {
        $(#[$meta])*
        #[wasm_bindgen]
        #[allow(clippy::too_many_arguments)]
        pub fn $name(
            codec: u32,
            out: u32,
            out_stride: u32,
            out_column: u32,
            q: u32,
            q_stride: u32,
            q_column: u32,
            n_tokens: u32,
            n_groups: u32,
            head_dim: u32,
            keys: u32,
            values: u32,
            positions: u32,
            length: u32,
            first_position: u32,
            scale: f32,
            window: u32,
            scratch: u32,
        ) {
            let queries = Queries {
                n_tokens: n_tokens as usize,
                n_groups: n_groups as usize,
                head_dim: head_dim as usize,
                stride: q_stride as usize,
                column: q_column as usize,
                first_position,
                scale,
                window,
            };
            let (d, length) = (queries.head_dim, length as usize);
            let n_scratch = ($scratch_len)(queries.len(), d, length);
            // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
            unsafe {
                let out = slice_mut::<f32>(out, queries.n_tokens * out_stride as usize);
                let q = slice::<f32>(q, queries.n_tokens * queries.stride);
                let scratch = slice_mut::<f32>(scratch, n_scratch);
                let (stride, column) = (out_stride as usize, out_column as usize);
                let target = Target { out, stride, column };
                let positions = slice(positions, length);
                match codec {
                    0 => {
                        let rows = head_rows::<Cells<f32>>(keys, values, positions, d);
                        attend::$attend(target, q, &rows, queries, scratch);
                    }
                    1 => {
                        let rows = head_rows::<Cells<u16>>(keys, values, positions, d);
                        attend::$attend(target, q, &rows, queries, scratch);
                    }
                    _ => {
                        let rows = head_rows::<Q8>(keys, values, positions, d);
                        attend::$attend(target, q, &rows, queries, scratch);
                    }
                }
            }
        }
    };
}

export_attention!(
    /// Attention of the queries of one kv head; arguments as `export_attention` says.
    attend_head,
    attend,
    |n_queries, head_dim, _| attend::attend_scratch_len(n_queries, head_dim)
);

export_attention!(
    /// As `attend_head`, the same bits; what `add_columns_head` needs stays in `scratch`.
    attend_keeping_head,
    attend_keeping,
    attend::kept_scratch_len
);

/// Rows of a split: parts of one token's attention that threads may take.
#[wasm_bindgen]
pub fn split_rows() -> u32 {
    attend::SPLIT as u32
}

/// f32 elements that `attend_split_head` leaves for `merge_splits_head`.
#[wasm_bindgen]
pub fn split_len(n_groups: u32, head_dim: u32) -> u32 {
    attend::split_len(n_groups as usize, head_dim as usize) as u32
}

/// Attention of one token's queries of one kv head over split `split` of its rows, unmerged, to out
/// f32[`split_len`]; q f32[n_groups, head_dim].
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn attend_split_head(
    codec: u32,
    out: u32,
    q: u32,
    n_groups: u32,
    head_dim: u32,
    keys: u32,
    values: u32,
    positions: u32,
    length: u32,
    position: u32,
    scale: f32,
    window: u32,
    split: u32,
    scratch: u32,
) {
    let queries = Queries {
        n_tokens: 1,
        n_groups: n_groups as usize,
        head_dim: head_dim as usize,
        stride: (n_groups * head_dim) as usize,
        column: 0,
        first_position: position,
        scale,
        window,
    };
    let (d, length) = (queries.head_dim, length as usize);
    // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
    unsafe {
        let out = slice_mut::<f32>(out, attend::split_len(queries.n_groups, d));
        let q = slice::<f32>(q, queries.stride);
        let scratch = slice_mut::<f32>(scratch, attend::attend_scratch_len(queries.len(), d));
        let positions = slice(positions, length);
        macro_rules! attend {
            ($codec:ty) => {{
                let rows = head_rows::<$codec>(keys, values, positions, d);
                attend::attend_split(out, q, &rows, queries, split as usize, scratch);
            }};
        }
        match codec {
            0 => attend!(Cells<f32>),
            1 => attend!(Cells<u16>),
            _ => attend!(Q8),
        }
    }
}

/// out f32[n_groups, head_dim] = the attention of one token from its `n_splits` splits.
#[wasm_bindgen]
pub fn merge_splits_head(out: u32, splits: u32, n_splits: u32, n_groups: u32, head_dim: u32) {
    let (n, d) = (n_groups as usize, head_dim as usize);
    let n_cells = n_splits as usize * attend::split_len(n, d);
    assert!(n <= attend::MAX_GROUPS);
    // SAFETY: the caller's arena holds both ranges, apart.
    unsafe { attend::merge_splits(slice_mut(out, n * d), slice_mut(splits, n_cells), n, d) }
}

/// Adds to out f32[n_groups, out_stride] the softmax rows of the queries that `attend_keeping_head` was
/// just called with, and with this `scratch`.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn add_columns_head(
    out: u32,
    out_stride: u32,
    n_tokens: u32,
    n_groups: u32,
    head_dim: u32,
    positions: u32,
    length: u32,
    first_position: u32,
    window: u32,
    scratch: u32,
) {
    let queries = Queries {
        n_tokens: n_tokens as usize,
        n_groups: n_groups as usize,
        head_dim: head_dim as usize,
        stride: 0,
        column: 0,
        first_position,
        scale: 1.0,
        window,
    };
    let (length, stride) = (length as usize, out_stride as usize);
    let n_scratch = attend::kept_scratch_len(queries.len(), queries.head_dim, length);
    // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
    unsafe {
        let out = slice_mut::<f32>(out, queries.n_groups * stride);
        let scratch = slice_mut::<f32>(scratch, n_scratch);
        attend::add_columns(out, stride, slice(positions, length), queries, scratch);
    }
}

/// out f32[n_groups, out_stride] += softmax rows of the queries of one kv head, summed over tokens.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn measure_window_head(
    codec: u32,
    out: u32,
    out_stride: u32,
    q: u32,
    q_stride: u32,
    q_column: u32,
    n_tokens: u32,
    n_groups: u32,
    head_dim: u32,
    keys: u32,
    positions: u32,
    length: u32,
    first_position: u32,
    scale: f32,
    window: u32,
    scratch: u32,
) {
    let queries = Queries {
        n_tokens: n_tokens as usize,
        n_groups: n_groups as usize,
        head_dim: head_dim as usize,
        stride: q_stride as usize,
        column: q_column as usize,
        first_position,
        scale,
        window,
    };
    let (d, length) = (queries.head_dim, length as usize);
    // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
    unsafe {
        let out = slice_mut::<f32>(out, queries.n_groups * out_stride as usize);
        let q = slice::<f32>(q, queries.n_tokens * queries.stride);
        let scratch = slice_mut::<f32>(scratch, attend::measure_scratch_len(length, d));
        let positions = slice(positions, length);
        macro_rules! measure {
            ($codec:ty) => {{
                let rows = head_rows::<$codec>(keys, keys, positions, d);
                attend::measure_window(out, out_stride as usize, q, &rows, queries, scratch);
            }};
        }
        match codec {
            0 => measure!(Cells<f32>),
            1 => measure!(Cells<u16>),
            _ => measure!(Q8),
        }
    }
}

/// # Safety
/// Keys and values are positions.len() rows of the arena.
unsafe fn head_rows<'a, C: Codec>(
    keys: u32,
    values: u32,
    positions: &'a [u32],
    d: usize,
) -> HeadRows<'a, C> {
    let n = positions.len() * C::row_len(d);
    // SAFETY: the caller's promise, passed on.
    unsafe { HeadRows { keys: slice(keys, n), values: slice(values, n), positions } }
}

/// Rows `keep` u32[n] (ascending, from the head's first) of `src` to the first rows of `dst`, which
/// may start where `src` starts if the codecs are the same.
#[wasm_bindgen]
pub fn gather_rows(dst_codec: u32, dst: u32, src_codec: u32, src: u32, keep: u32, n: u32, d: u32) {
    let (n, d) = (n as usize, d as usize);
    let row_bytes = |codec: u32| match codec {
        0 => 4 * d,
        1 => 2 * d,
        _ => Q8::row_len(d),
    };
    let (dst_bytes, src_bytes) = (row_bytes(dst_codec), row_bytes(src_codec));
    let mut vector = [0f32; MAX_HEAD_DIM];
    // SAFETY: the caller's arena holds the list and every row named in it.
    let keep = unsafe { slice::<u32>(keep, n) };
    for (to, &from) in keep.iter().enumerate() {
        let (to, from) = (dst + (to * dst_bytes) as u32, src + from * src_bytes as u32);
        // SAFETY: both rows lie in the arena. In place, `to` is a row before `from`: apart.
        unsafe {
            if dst_codec != src_codec {
                decode_row(&mut vector[..d], src_codec, from);
                encode_row(dst_codec, to, &vector[..d]);
            } else if to != from {
                slice_mut::<u8>(to, dst_bytes).copy_from_slice(slice(from, dst_bytes));
            }
        }
    }
}

/// # Safety
/// A row of the codec lies at `row`.
unsafe fn decode_row(out: &mut [f32], codec: u32, row: u32) {
    let d = out.len();
    // SAFETY: the caller's promise, passed on.
    unsafe {
        match codec {
            0 => Cells::<f32>::decode(out, slice(row, d)),
            1 => Cells::<u16>::decode(out, slice(row, d)),
            _ => Q8::decode(out, slice(row, Q8::row_len(d))),
        }
    }
}

/// # Safety
/// A row of the codec has room at `row`.
unsafe fn encode_row(codec: u32, row: u32, x: &[f32]) {
    let d = x.len();
    // SAFETY: the caller's promise, passed on.
    unsafe {
        match codec {
            0 => Cells::<f32>::encode(slice_mut(row, d), x),
            1 => Cells::<u16>::encode(slice_mut(row, d), x),
            _ => Q8::encode(slice_mut(row, Q8::row_len(d)), x),
        }
    }
}

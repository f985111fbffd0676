//! The engine's operations on cache rows: append, attend, measure, gather. Offsets are bytes into
//! linear memory, counts are elements; `codec` 0 is f32, 1 is f16.
use crate::abi::{slice, slice_mut};
use crate::cache_rows::{Cell, HeadRows};
use crate::ops::attend::{self, Queries, Target};
use wasm_bindgen::prelude::wasm_bindgen;

/// Writes one head's vectors of x f32[n_tokens, stride] from `column` as rows at `rows`
/// ([n_tokens, head_dim] cells); `codec` 0 f32, 1 f16.
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
    fn put<C: Cell>(rows: &mut [C], x: &[f32], stride: usize, column: usize, d: usize) {
        for (row, x) in rows.chunks_exact_mut(d).zip(x.chunks_exact(stride)) {
            for (cell, &x) in row.iter_mut().zip(&x[column..column + d]) {
                *cell = C::from_f32(x);
            }
        }
    }
    let (stride, column, d) = (stride as usize, column as usize, head_dim as usize);
    let n = n_tokens as usize;
    // SAFETY: the caller's arena holds both ranges, apart.
    unsafe {
        let x = slice::<f32>(x, n * stride);
        match codec {
            0 => put(slice_mut::<f32>(rows, n * d), x, stride, column, d),
            _ => put(slice_mut::<u16>(rows, n * d), x, stride, column, d),
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

/// Attention of the queries of one kv head over its `length` rows; q f32[n_tokens, q_stride] from
/// `q_column`, out f32[n_tokens, out_stride] from `out_column`; `codec` 0 f32, 1 f16.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn attend_head(
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
    let n_scratch = attend::attend_scratch_len(queries.len(), d);
    // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
    unsafe {
        let out = slice_mut::<f32>(out, queries.n_tokens * out_stride as usize);
        let q = slice::<f32>(q, queries.n_tokens * queries.stride);
        let scratch = slice_mut::<f32>(scratch, n_scratch);
        let (stride, column) = (out_stride as usize, out_column as usize);
        let target = Target { out, stride, column };
        let positions = slice(positions, length);
        if codec == 0 {
            let rows = head_rows::<f32>(keys, values, positions, d);
            attend::attend(target, q, &rows, queries, scratch);
        } else {
            let rows = head_rows::<u16>(keys, values, positions, d);
            attend::attend(target, q, &rows, queries, scratch);
        }
    }
}

/// As `attend_head`, the same bits; what `add_columns_head` needs stays in `scratch`.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn attend_keeping_head(
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
    let n_scratch = attend::kept_scratch_len(queries.len(), d, length);
    // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
    unsafe {
        let out = slice_mut::<f32>(out, queries.n_tokens * out_stride as usize);
        let q = slice::<f32>(q, queries.n_tokens * queries.stride);
        let scratch = slice_mut::<f32>(scratch, n_scratch);
        let (stride, column) = (out_stride as usize, out_column as usize);
        let target = Target { out, stride, column };
        let positions = slice(positions, length);
        if codec == 0 {
            let rows = head_rows::<f32>(keys, values, positions, d);
            attend::attend_keeping(target, q, &rows, queries, scratch);
        } else {
            let rows = head_rows::<u16>(keys, values, positions, d);
            attend::attend_keeping(target, q, &rows, queries, scratch);
        }
    }
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
        if codec == 0 {
            let rows = head_rows::<f32>(keys, keys, positions, d);
            attend::measure_window(out, out_stride as usize, q, &rows, queries, scratch);
        } else {
            let rows = head_rows::<u16>(keys, keys, positions, d);
            attend::measure_window(out, out_stride as usize, q, &rows, queries, scratch);
        }
    }
}

/// # Safety
/// Keys and values are [positions.len(), d] cells of the arena.
unsafe fn head_rows<'a, C: Cell>(
    keys: u32,
    values: u32,
    positions: &'a [u32],
    d: usize,
) -> HeadRows<'a, C> {
    let n = positions.len() * d;
    // SAFETY: the caller's promise, passed on.
    unsafe { HeadRows { keys: slice(keys, n), values: slice(values, n), positions } }
}

/// Rows `keep` u32[n] (ascending, from the head's first) of `src` to the first rows of `dst`, which
/// may start where `src` starts; codecs as in `append_rows`.
#[wasm_bindgen]
pub fn gather_rows(dst_codec: u32, dst: u32, src_codec: u32, src: u32, keep: u32, n: u32, d: u32) {
    let (n, d) = (n as usize, d as usize);
    // SAFETY: the caller's arena holds the list and every row named in it.
    let keep = unsafe { slice::<u32>(keep, n) };
    let cell_bytes = |codec: u32| if codec == 0 { 4u32 } else { 2 };
    for (to, &from) in keep.iter().enumerate() {
        let to = dst + to as u32 * d as u32 * cell_bytes(dst_codec);
        let from = src + from * d as u32 * cell_bytes(src_codec);
        if to == from && dst_codec == src_codec {
            continue;
        }
        // SAFETY: both rows lie in the arena. In place, `to` is a row before `from`: apart.
        unsafe {
            match (dst_codec, src_codec) {
                (0, 0) => slice_mut::<f32>(to, d).copy_from_slice(slice(from, d)),
                (0, _) => recode(slice_mut::<f32>(to, d), slice::<u16>(from, d)),
                (_, 0) => recode(slice_mut::<u16>(to, d), slice::<f32>(from, d)),
                _ => slice_mut::<u16>(to, d).copy_from_slice(slice(from, d)),
            }
        }
    }
}

fn recode<D: Cell, S: Cell>(dst: &mut [D], src: &[S]) {
    for (dst, &src) in dst.iter_mut().zip(src) {
        *dst = D::from_f32(src.to_f32());
    }
}

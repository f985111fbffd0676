//! Statistics of keys, values and queries.

use crate::abi::{slice, slice_mut};
use crate::stats::expected_attention::{self as expected, Future, Queries, RopePairs};
use crate::stats::lag::{self, LagScale, LagScratch, LagShape};
use crate::stats::{key_diff as key_diffs, row_norm, weigh as weights};
use wasm_bindgen::prelude::wasm_bindgen;

/// Norms of `rows` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`.
#[wasm_bindgen]
pub fn row_norms(rows: u32, n_rows: u32, head_dim: u32, out: u32) {
    let (n_rows, head_dim) = (n_rows as usize, head_dim as usize);
    // SAFETY: the caller allocated both arrays in these lengths, apart from each other.
    let (rows, out) = unsafe { (slice(rows, n_rows * head_dim), slice_mut(out, n_rows)) };
    row_norm::row_norms(rows, head_dim, out);
}

/// Scores of `keys` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`; `anchor` f64`[head_dim]` is
/// scratch.
#[wasm_bindgen]
pub fn key_diff(keys: u32, n_rows: u32, head_dim: u32, anchor: u32, out: u32) {
    let (n_rows, head_dim) = (n_rows as usize, head_dim as usize);
    // SAFETY: the caller allocated the three arrays in these lengths, apart from each other.
    let (keys, anchor, out) = unsafe {
        (slice(keys, n_rows * head_dim), slice_mut(anchor, head_dim), slice_mut(out, n_rows))
    };
    key_diffs::key_diff(keys, anchor, out);
}

/// Scores of `keys` and `values` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`; returns how many
/// rows lie after the last scored partition. `scale` is 0 rank, 1 score. Scratch: `ranges`
/// f32`[2 * head_dim]`, `scores` f32`[lag_size]`, `order` u64`[lag_size]`.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)] // plain numbers are the interface
pub fn lag_scores(
    keys: u32,
    values: u32,
    n_rows: u32,
    head_dim: u32,
    n_sink: u32,
    lag_size: u32,
    scale: u32,
    ranges: u32,
    scores: u32,
    order: u32,
    out: u32,
) -> u32 {
    let (n_rows, head_dim, lag_size) = (n_rows as usize, head_dim as usize, lag_size as usize);
    let n_sink = n_sink as usize;
    let scale = if scale == 0 { LagScale::Rank } else { LagScale::Score };
    // SAFETY: the caller allocated the six arrays in these lengths, apart from each other.
    let (keys, values, scratch, out) = unsafe {
        let scratch = LagScratch {
            ranges: slice_mut(ranges, 2 * head_dim),
            scores: slice_mut(scores, lag_size),
            order: slice_mut(order, lag_size),
        };
        (
            slice(keys, n_rows * head_dim),
            slice(values, n_rows * head_dim),
            scratch,
            slice_mut(out, n_rows),
        )
    };
    let shape = LagShape { head_dim, n_sink, lag_size };
    lag::lag_scores(keys, values, shape, scale, scratch, out) as u32
}

/// Scores of `keys` f32`[n_rows, head_dim]` to `out` f32`[n_rows]`. `mean` f32`[n_groups,
/// head_dim]` and `covariance` f32`[n_groups, head_dim, head_dim]` (where `has_covariance` is not
/// 0) are of queries before rotation and are overwritten; `frequencies` is f32`[head_dim / 2]`;
/// `style` is 0 for pairs (2i, 2i + 1), 1 for (i, i + head_dim / 2). `logits` f32`[n_rows]` is
/// scratch. `head_dim` is a multiple of 4.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)] // plain numbers are the interface
pub fn expected_attention(
    keys: u32,
    n_rows: u32,
    head_dim: u32,
    mean: u32,
    covariance: u32,
    has_covariance: u32,
    n_groups: u32,
    frequencies: u32,
    style: u32,
    first_position: u32,
    n_future: u32,
    scale: f32,
    logits: u32,
    out: u32,
) {
    let (n_rows, head_dim, n_groups) = (n_rows as usize, head_dim as usize, n_groups as usize);
    let size = if has_covariance == 0 { 0 } else { head_dim * head_dim };
    let pairs = if style == 0 { RopePairs::Interleaved } else { RopePairs::Half };
    let future = Future { first: first_position, count: n_future };
    // SAFETY: the caller allocated the six arrays in these lengths, apart from each other.
    let (keys, mean, covariance, frequencies, logits, out) = unsafe {
        (
            slice(keys, n_rows * head_dim),
            slice_mut(mean, n_groups * head_dim),
            slice_mut(covariance, n_groups * size),
            slice(frequencies, head_dim / 2),
            slice_mut(logits, n_rows),
            slice_mut(out, n_rows),
        )
    };
    for (group, mean) in mean.chunks_exact_mut(head_dim).enumerate() {
        let covariance = &mut covariance[group * size..][..size];
        expected::rotate_statistics(mean, covariance, frequencies, pairs, future);
        if size > 0 {
            expected::fold(covariance, head_dim);
        }
    }
    let queries = Queries { mean, covariance, scale };
    expected::expected_attention(keys, head_dim, queries, logits, out);
}

/// `scores[i] = (scores[i] + epsilon) * weights[i]` over f32`[n]`.
#[wasm_bindgen]
pub fn weigh(scores: u32, weights_at: u32, n: u32, epsilon: f32) {
    // SAFETY: the caller allocated both arrays in this length, apart from each other.
    let (scores, by) = unsafe { (slice_mut(scores, n as usize), slice(weights_at, n as usize)) };
    weights::weigh(scores, by, epsilon);
}

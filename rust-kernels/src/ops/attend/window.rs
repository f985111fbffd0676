//! The attention signal `window` (methods.md 0.4): softmax rows summed over queries.
use super::tile::{BLOCK, Tiles};
use super::{LOWEST, Queries, TILE};
use crate::cache_rows::HeadRows;
use crate::lanes::F32x4;
use crate::math::exp::Exp;

/// Most queries that share a re-laid tile, a multiple of a block.
const WIDEST: usize = 16 * BLOCK;

/// Scores of them that stay in the second cache.
const MAX_SCORES: usize = 1 << 17;

/// Queries that share a re-laid tile: the more, the fewer times keys are laid out.
fn wide(n_rows: usize) -> usize {
    let stride = n_rows.next_multiple_of(TILE).max(1);
    (MAX_SCORES / stride).clamp(BLOCK, WIDEST) / BLOCK * BLOCK
}

/// f32 elements of scratch that [`measure_window`] needs for `n_rows` rows or fewer.
pub fn measure_scratch_len(n_rows: usize, head_dim: usize) -> usize {
    let stride = n_rows.next_multiple_of(TILE);
    let n_scores = (WIDEST * stride).min(MAX_SCORES.max(BLOCK * stride));
    (TILE + WIDEST) * head_dim + n_scores
}

/// Adds to out f32[n_groups, out_stride] the softmax rows of the queries of one kv head, summed
/// over tokens in order.
pub fn measure_window<T: Tiles>(
    out: &mut [f32],
    out_stride: usize,
    q: &[f32],
    rows: &HeadRows<'_, T>,
    queries: Queries,
    scratch: &mut [f32],
) {
    let d = queries.head_dim;
    let (keys, rest) = scratch.split_at_mut(TILE * d);
    let n = queries.len();
    let n_rows = rows.positions.len();
    let wide = wide(n_rows);
    let (packed, weights) = rest.split_at_mut(wide * d);
    let stride = n_rows.next_multiple_of(TILE);
    for query in (0..n).step_by(wide) {
        let width = (n - query).min(wide);
        for (block, packed) in packed.chunks_exact_mut(BLOCK * d).enumerate() {
            let first = (query + BLOCK * block).min(n);
            let vectors: [&[f32]; BLOCK] =
                core::array::from_fn(|i| queries.vector(q, (first + i).min(n - 1)));
            T::pack_queries(packed, &vectors[..(n - first).min(BLOCK)], d);
        }
        // Later queries see more: no tile past what the last of them sees is needed.
        let (_, seen) = queries.visible(query + width - 1, rows.positions);
        for first in (0..seen).step_by(TILE) {
            let n_tile = TILE.min(n_rows - first);
            T::load_keys(keys, rows.keys, d, first, n_tile);
            let blocks =
                packed.chunks_exact(BLOCK * d).zip(weights.chunks_mut((BLOCK * stride).max(1)));
            for (block, (packed, weights)) in blocks.take(width.div_ceil(BLOCK)).enumerate() {
                let out = &mut weights[first..];
                match width - BLOCK * block {
                    1 => T::scores::<1>(out, stride, keys, packed, n_tile, queries.scale),
                    2 => T::scores::<2>(out, stride, keys, packed, n_tile, queries.scale),
                    3 => T::scores::<3>(out, stride, keys, packed, n_tile, queries.scale),
                    _ => T::scores::<4>(out, stride, keys, packed, n_tile, queries.scale),
                }
            }
        }
        for (i, weights) in weights.chunks_exact_mut(stride.max(1)).take(width).enumerate() {
            let (low, high) = queries.visible(query + i, rows.positions);
            let group = (query + i) % queries.n_groups;
            add_softmax(&mut out[group * out_stride..][low..high], weights, low, high);
        }
    }
}

/// sums += softmax of the scores [low, high); `scores` is a multiple of [`TILE`] long.
fn add_softmax(sums: &mut [f32], scores: &mut [f32], low: usize, high: usize) {
    let scores = &mut scores[..high.next_multiple_of(TILE)];
    scores[..low].fill(LOWEST);
    scores[high..].fill(LOWEST);
    let mut largest = F32x4::splat(LOWEST);
    for four in scores.chunks_exact(4) {
        largest = largest.max(F32x4::load(four, 0));
    }
    let largest = F32x4::splat(largest.max_lane());
    let exp = Exp::new();
    let mut total = 0f64;
    for tile in scores.chunks_exact_mut(TILE) {
        let mut sum = F32x4::splat(0.0);
        for four in tile.chunks_exact_mut(4) {
            let weight = exp.of(F32x4::load(four, 0).sub(largest));
            weight.store(four, 0);
            sum = sum.add(weight);
        }
        total += f64::from(sum.sum());
    }
    let factor = (1.0 / total) as f32;
    for (sum, &weight) in sums.iter_mut().zip(&scores[low..high]) {
        *sum += weight * factor;
    }
}

//! Rows of codec q8, multiplied as integers: exact, so any order and any layout gives the same bits.
//!
//! A query's channels become i16 codes, q = round(x 32767 / max|x|); with keys of at most 127 the sum
//! over 512 channels fits i32. A tile's weights times their values' scales become i16 codes in the
//! same way, the tile's largest for max. Deviation: products of such codes are off by at most 2^-16
//! of the largest, a hundredth of what rounding rows to int8 costs.
//!
//! | tile   | layout, i16                              | then f32             |
//! |--------|------------------------------------------|----------------------|
//! | keys   | [TILE / 8, head_dim / 2, 8 rows, 2 ch.]  | scales [TILE]        |
//! | query  | [head_dim / 2, 4 queries, 2 channels]    | scales [BLOCK]       |
//! | values | [head_dim / 8, TILE / 2, 8 ch., 2 rows]  | scales [TILE]        |
use super::many::Weights;
use super::tile::{BLOCK, Tiles};
use super::{Queries, Sums, TILE, bytes_single};
use crate::abi::{as_bytes, as_bytes_mut};
use crate::cache_rows::{HeadRows, Q8};
use crate::lanes::{F32x4, I16x8, I32x4};
use core::ops::Range;

/// Codes of queries and weights go up to it.
const LARGEST: f32 = 32767.0;
/// What is below it counts as zero: its scale would have no bits left.
const SMALLEST: f32 = 1e-30;

impl Tiles for Q8 {
    fn load_keys(tile: &mut [f32], keys: &[u8], d: usize, first: usize, n: usize) {
        let (codes, scales) = tile.split_at_mut(TILE * d / 2);
        let panels = as_bytes_mut(codes).chunks_exact_mut(16 * d).take(n.div_ceil(8));
        for (p, panel) in panels.enumerate() {
            for half in 0..2 {
                let row = 8 * p + 4 * half;
                let rows: [(&[u8], f32); 4] = core::array::from_fn(|r| {
                    if row + r < n { Q8::row(keys, d, first + row + r) } else { (&[][..], 0.0) }
                });
                for (r, (_, scale)) in rows.into_iter().enumerate() {
                    scales[row + r] = scale;
                }
                for i in (0..d).step_by(8) {
                    let four = rows.map(|(codes, _)| {
                        if codes.is_empty() { I16x8::splat(0) } else { I16x8::load_bytes(codes, i) }
                    });
                    for (pair, lanes) in I16x8::transpose_pairs(four).into_iter().enumerate() {
                        lanes.store(panel, 32 * (i / 2 + pair) + 16 * half);
                    }
                }
            }
        }
    }

    fn load_values(tile: &mut [f32], values: &[u8], d: usize, first: usize, n: usize) {
        let (codes, scales) = tile.split_at_mut(TILE * d / 2);
        let codes = as_bytes_mut(codes);
        scales[..TILE].fill(0.0);
        for row in (0..n).step_by(2) {
            let (a, scale_a) = Q8::row(values, d, first + row);
            // A last row without a partner is its own: the partner's weight is zero.
            let (b, scale_b) = Q8::row(values, d, first + (row + 1).min(n - 1));
            scales[row] = scale_a;
            scales[row + 1] = scale_b;
            for i in (0..d).step_by(8) {
                let [low, high] =
                    I16x8::interleave(I16x8::load_bytes(a, i), I16x8::load_bytes(b, i));
                let at = 2 * TILE * i + 16 * row;
                low.store(codes, at);
                high.store(codes, at + 16);
            }
        }
    }

    fn pack_queries(packed: &mut [f32], vectors: &[&[f32]], d: usize) {
        packed.fill(0.0);
        let (codes, scales) = packed.split_at_mut(BLOCK * d / 2);
        let codes = as_bytes_mut(codes);
        for (n, vector) in vectors.iter().enumerate() {
            let (factor, scale) = factors(largest(vector));
            scales[n] = scale;
            for (i, x) in vector.iter().enumerate() {
                let at = 4 * (i / 2 * BLOCK + n) + 2 * (i % 2);
                codes[at..at + 2].copy_from_slice(&code(*x, factor).to_le_bytes());
            }
        }
    }

    #[inline(always)]
    fn scores<const N: usize>(
        out: &mut [f32],
        stride: usize,
        keys: &[f32],
        packed: &[f32],
        n_rows: usize,
        scale: f32,
    ) {
        let d = packed.len() / BLOCK;
        let (codes, row_scales) = keys.split_at(TILE * d / 2);
        let (queries, query_scales) = packed.split_at(BLOCK * d / 2);
        let queries = as_bytes(queries);
        let panels = as_bytes(codes).chunks_exact(16 * d).take(n_rows.div_ceil(8));
        for (p, panel) in panels.enumerate() {
            let mut sums = [[I32x4::splat(0); 2]; N];
            let mut queries = queries.as_chunks::<{ 4 * BLOCK }>().0.iter();
            for k in panel.as_chunks::<32>().0 {
                let Some(q) = queries.next() else { break };
                let k = [I16x8::load(k, 0), I16x8::load(k, 16)];
                for (n, sums) in sums.iter_mut().enumerate() {
                    let x = I16x8::load_pair(q, 4 * n);
                    sums[0] = sums[0].add(k[0].dot(x));
                    sums[1] = sums[1].add(k[1].dot(x));
                }
            }
            for (half, at) in [8 * p, 8 * p + 4].into_iter().enumerate() {
                let own = F32x4::load(row_scales, at);
                for (n, sums) in sums.iter().enumerate() {
                    score(sums[half], own, query_scales[n] * scale).store(out, n * stride + at);
                }
            }
        }
    }

    #[inline(always)]
    fn add_values<const N: usize>(
        out: &mut [f32],
        at: [usize; N],
        factors: [F32x4; N],
        weights: &Weights<'_>,
        work: &mut [f32],
        values: &[f32],
        n_rows: usize,
    ) {
        let (codes, row_scales) = values.split_at(values.len() / 2);
        let work = as_bytes_mut(work);
        let scales: [F32x4; N] = core::array::from_fn(|n| {
            let own = &weights.cells[n * weights.stride..][..TILE];
            weigh_codes(&mut work[2 * TILE * n..2 * TILE * (n + 1)], own, row_scales)
        });
        for (p, panel) in as_bytes(codes).chunks_exact(16 * TILE).enumerate() {
            let mut sums = [[I32x4::splat(0); 2]; N];
            for (pair, v) in panel.chunks_exact(32).take(n_rows.div_ceil(2)).enumerate() {
                let v = [I16x8::load(v, 0), I16x8::load(v, 16)];
                for (n, sums) in sums.iter_mut().enumerate() {
                    let w = I16x8::load_pair(work, 2 * TILE * n + 4 * pair);
                    sums[0] = sums[0].add(v[0].dot(w));
                    sums[1] = sums[1].add(v[1].dot(w));
                }
            }
            for (n, sums) in sums.into_iter().enumerate() {
                for (j, sum) in sums.into_iter().enumerate() {
                    add_sum(out, at[n] + 8 * p + 4 * j, sum, factors[n], scales[n]);
                }
            }
        }
    }

    fn attend_one(
        sums: &mut Sums<'_>,
        q: &[f32],
        rows: &HeadRows<'_, Self>,
        queries: Queries,
        range: Range<usize>,
        scratch: &mut [f32],
    ) {
        bytes_single::attend(sums, q, rows, queries, range, scratch);
    }
}

/// A score of four rows: their sums of products with a query's codes.
#[inline(always)]
pub(super) fn score(sum: I32x4, row_scales: F32x4, query_scale: f32) -> F32x4 {
    sum.to_f32().mul(row_scales.mul(F32x4::splat(query_scale)))
}

/// out[at ..] of four channels = out factor + sum scale.
#[inline(always)]
pub(super) fn add_sum(out: &mut [f32], at: usize, sum: I32x4, factor: F32x4, scale: F32x4) {
    sum.to_f32().mul_add(scale, F32x4::load(out, at).mul(factor)).store(out, at);
}

/// codes i16[TILE] of weights f32[TILE] times their values' scales f32[TILE]; what a code is worth.
#[inline(always)]
pub(super) fn weigh_codes(codes: &mut [u8], weights: &[f32], scales: &[f32]) -> F32x4 {
    let product = |i: usize| F32x4::load(weights, i).mul(F32x4::load(scales, i));
    let mut largest = F32x4::splat(0.0);
    for i in (0..TILE).step_by(4) {
        largest = largest.max(product(i));
    }
    let (factor, scale) = factors(largest.max_lane());
    let factor = F32x4::splat(factor);
    for i in (0..TILE).step_by(8) {
        let [a, b] = [i, i + 4].map(|i| product(i).mul(factor).round_even().to_i32());
        I16x8::narrow(a, b).store(codes, 2 * i);
    }
    F32x4::splat(scale)
}

/// Factor to codes of numbers up to `largest`, and what a code is worth.
#[inline(always)]
pub(super) fn factors(largest: f32) -> (f32, f32) {
    if largest > SMALLEST { (LARGEST / largest, largest / LARGEST) } else { (0.0, 0.0) }
}

pub(super) fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0f32, |max, x| max.max(x.abs())).min(f32::MAX)
}

pub(super) fn code(x: f32, factor: f32) -> i16 {
    (x * factor).round_ties_even() as i16
}

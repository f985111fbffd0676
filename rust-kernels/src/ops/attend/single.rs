//! Attention of one token: rows are read where they lie, once for up to three query heads.
use super::{Queries, SPLIT, Sums, TILE, within};
use crate::cache_rows::{Cell, Cells, HeadRows};
use crate::lanes::F32x4;
use core::ops::Range;

/// Query heads of a pass: their sums for four rows, and a row's vector, fit the registers.
pub(super) const HEADS: usize = 3;

pub(super) fn attend<C: Cell>(
    sums: &mut Sums<'_>,
    q: &[f32],
    rows: &HeadRows<'_, Cells<C>>,
    queries: Queries,
    range: Range<usize>,
    scratch: &mut [f32],
) {
    let weights = &mut scratch[..HEADS * TILE];
    let n = queries.len();
    let begin = range.start;
    for tile in tiles(queries, rows.positions, range) {
        if tile.first % SPLIT == 0 && tile.first > begin {
            sums.close(queries);
        }
        if tile.visible.0 >= tile.visible.1 {
            continue;
        }
        let mut query = 0;
        while query < n {
            let width = (n - query).min(HEADS);
            match width {
                3 => pass::<3, C>(sums, q, rows, queries, weights, &tile, query),
                2 => pass::<2, C>(sums, q, rows, queries, weights, &tile, query),
                _ => pass::<1, C>(sums, q, rows, queries, weights, &tile, query),
            }
            query += width;
        }
    }
}

/// Rows of a tile and those of them that the token sees.
pub(super) struct Tile {
    pub(super) first: usize,
    pub(super) n_rows: usize,
    pub(super) visible: (usize, usize),
}

/// The tiles of rows `range`, for one token.
pub(super) fn tiles(
    queries: Queries,
    positions: &[u32],
    range: Range<usize>,
) -> impl Iterator<Item = Tile> {
    let (n, seen) = (positions.len(), queries.visible(0, positions));
    range.step_by(TILE).map(move |first| {
        let n_rows = TILE.min(n - first);
        Tile { first, n_rows, visible: within(seen, first, n_rows) }
    })
}

#[allow(clippy::too_many_arguments)]
fn pass<const N: usize, C: Cell>(
    sums: &mut Sums<'_>,
    q: &[f32],
    rows: &HeadRows<'_, Cells<C>>,
    queries: Queries,
    weights: &mut [f32],
    tile: &Tile,
    query: usize,
) {
    let d = queries.head_dim;
    let vectors: [&[f32]; N] = core::array::from_fn(|i| queries.vector(q, query + i));
    let own = tile.first * d..(tile.first + tile.n_rows) * d;
    scores::<N, C>(weights, &rows.keys[own.clone()], vectors, d, queries.scale);
    let mut factors = [F32x4::splat(1.0); N];
    for (i, weights) in weights.chunks_exact_mut(TILE).take(N).enumerate() {
        factors[i] = sums.running.weigh(query + i, weights, tile.visible);
    }
    let at: [usize; N] = core::array::from_fn(|i| queries.at(query + i, sums.part.stride, 0));
    let values = &rows.values[own];
    let whole = d - d % 16;
    for i in (0..whole).step_by(16) {
        add_values::<N, 4, C>(sums.part.out, at.map(|at| at + i), values, d, i, weights, factors);
    }
    if whole < d {
        let at = at.map(|at| at + whole);
        add_values::<N, 2, C>(sums.part.out, at, values, d, whole, weights, factors);
    }
}

/// weights f32[N, TILE] = scale q.k over `keys` [n_rows, d].
#[inline(always)]
fn scores<const N: usize, C: Cell>(
    weights: &mut [f32],
    keys: &[C],
    vectors: [&[f32]; N],
    d: usize,
    scale: f32,
) {
    let scale = F32x4::splat(scale);
    let four = keys.chunks_exact(4 * d);
    let rest = four.remainder();
    let whole = four.len();
    for (block, keys) in four.enumerate() {
        let (a, b) = keys.split_at(2 * d);
        let ((k0, k1), (k2, k3)) = (a.split_at(d), b.split_at(d));
        let mut sums = [[F32x4::splat(0.0); 4]; N];
        for i in (0..d).step_by(4) {
            let x: [F32x4; N] = core::array::from_fn(|n| F32x4::load(vectors[n], i));
            for (r, k) in [k0, k1, k2, k3].into_iter().enumerate() {
                let k = C::load4(k, i);
                for n in 0..N {
                    sums[n][r] = x[n].mul_add(k, sums[n][r]);
                }
            }
        }
        for (n, sums) in sums.into_iter().enumerate() {
            let [s0, s1, s2, s3] = F32x4::transpose(sums);
            let sum = s0.add(s2).add(s1.add(s3));
            sum.mul(scale).store(weights, n * TILE + 4 * block);
        }
    }
    for (r, k) in rest.chunks_exact(d).enumerate() {
        for (n, vector) in vectors.into_iter().enumerate() {
            let mut sum = F32x4::splat(0.0);
            for i in (0..d).step_by(4) {
                sum = F32x4::load(vector, i).mul_add(C::load4(k, i), sum);
            }
            weights[n * TILE + 4 * whole + r] = sum.sum() * scale.lanes()[0];
        }
    }
}

/// out[at[n] ..] = out factor + weights values, `4 VECTORS` channels from `column`.
#[inline(always)]
fn add_values<const N: usize, const VECTORS: usize, C: Cell>(
    out: &mut [f32],
    at: [usize; N],
    values: &[C],
    d: usize,
    column: usize,
    weights: &[f32],
    factors: [F32x4; N],
) {
    let mut sums: [[F32x4; VECTORS]; N] = core::array::from_fn(|n| {
        core::array::from_fn(|j| F32x4::load(out, at[n] + 4 * j).mul(factors[n]))
    });
    let weights: [&[f32]; N] = core::array::from_fn(|n| &weights[n * TILE..(n + 1) * TILE]);
    for (row, values) in values.chunks_exact(d).take(TILE).enumerate() {
        let values = &values[column..column + 4 * VECTORS];
        let weights = weights.map(|weights| F32x4::splat(weights[row]));
        for j in 0..VECTORS {
            let v = C::load4(values, 4 * j);
            for n in 0..N {
                sums[n][j] = weights[n].mul_add(v, sums[n][j]);
            }
        }
    }
    for (n, sums) in sums.into_iter().enumerate() {
        for (j, sum) in sums.into_iter().enumerate() {
            sum.store(out, at[n] + 4 * j);
        }
    }
}

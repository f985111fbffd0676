//! out = softmax(scale q.k) v over the rows that each query sees, online over tiles of 64 rows.
//!
//! Tiles start at multiples of 64 rows. A score adds its products channel by channel; a tile's
//! weights are exp(s - running max), added as (0 + 2) + (1 + 3) over lanes 4n + i; values are added
//! row by row. The order depends on the rows alone, so a query's result is the same bits whichever
//! queries share the call. Source: Milakov & Gimelshein 2018 (online softmax).
use crate::cache_rows::{Cell, HeadRows};
use crate::lanes::F32x4;
use crate::math::exp::exp4;

/// Rows of a tile.
pub const TILE: usize = 64;

/// Below every score: the running maximum of nothing. Finite, so differences stay numbers.
const LOWEST: f32 = -3.0e38;

/// The queries of one kv head.
#[derive(Clone, Copy, Debug)]
pub struct Queries {
    /// Tokens.
    pub n_tokens: usize,
    /// Query heads of the kv head.
    pub n_groups: usize,
    /// Channels.
    pub head_dim: usize,
    /// f32 from one token's queries to the next's.
    pub stride: usize,
    /// Of the first query head within a token.
    pub column: usize,
    /// Position of the first token.
    pub first_position: u32,
    /// Factor on q.k.
    pub scale: f32,
    /// Sliding window, tokens; 0 for none.
    pub window: u32,
}

impl Queries {
    /// Number of queries: token-major, group innermost.
    pub fn len(&self) -> usize {
        self.n_tokens * self.n_groups
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn vector<'a>(&self, q: &'a [f32], query: usize) -> &'a [f32] {
        let (token, group) = (query / self.n_groups, query % self.n_groups);
        &q[token * self.stride + self.column + group * self.head_dim..][..self.head_dim]
    }

    /// Rows [low, high) that `query` sees; the newest rows are the queries' own. A head that lost
    /// rows to eviction may have fewer than there are queries: the first then see none.
    pub fn visible(&self, query: usize, positions: &[u32]) -> (usize, usize) {
        let token = query / self.n_groups;
        let high = (positions.len() + token + 1).saturating_sub(self.n_tokens);
        if self.window == 0 {
            return (0, high);
        }
        let oldest = (self.first_position + token as u32 + 1).saturating_sub(self.window);
        (positions.partition_point(|&p| p < oldest).min(high), high)
    }
}

/// f32 elements of scratch that [`attend`] needs.
pub fn attend_scratch_len(n_queries: usize, head_dim: usize) -> usize {
    2 * TILE * head_dim + 4 * TILE + 2 * n_queries
}

/// Writes out f32[n_tokens, out_stride] from `out_column` for the queries of one kv head.
pub fn attend<C: Cell>(
    out: &mut [f32],
    out_stride: usize,
    out_column: usize,
    q: &[f32],
    rows: &HeadRows<'_, C>,
    queries: Queries,
    scratch: &mut [f32],
) {
    let d = queries.head_dim;
    let n = queries.len();
    let (keys, rest) = scratch.split_at_mut(TILE * d);
    let (values, rest) = rest.split_at_mut(TILE * d);
    let (weights, rest) = rest.split_at_mut(4 * TILE);
    let (maxima, rest) = rest.split_at_mut(n);
    let totals = &mut rest[..n];
    maxima.fill(LOWEST);
    totals.fill(0.0);
    let at = |query: usize| {
        let (token, group) = (query / queries.n_groups, query % queries.n_groups);
        token * out_stride + out_column + group * d
    };
    for query in 0..n {
        out[at(query)..at(query) + d].fill(0.0);
    }
    for first in (0..rows.positions.len()).step_by(TILE) {
        let n_rows = TILE.min(rows.positions.len() - first);
        load_keys(keys, rows.keys, d, first, n_rows);
        load_values(values, rows.values, d, first, n_rows);
        let tile = Tile { keys, values, first, n_rows };
        let mut query = 0;
        while query < n {
            let width = (n - query).min(4);
            let mut state = State { out, maxima, totals, weights, at: &at };
            match width {
                4 => tile_step::<4>(&tile, q, rows.positions, queries, query, &mut state),
                3 => tile_step::<3>(&tile, q, rows.positions, queries, query, &mut state),
                2 => tile_step::<2>(&tile, q, rows.positions, queries, query, &mut state),
                _ => tile_step::<1>(&tile, q, rows.positions, queries, query, &mut state),
            }
            query += width;
        }
    }
    for query in 0..n {
        let total = totals[query];
        let factor = F32x4::splat(if total > 0.0 { 1.0 / total } else { 0.0 });
        for i in (0..d).step_by(4) {
            let at = at(query) + i;
            F32x4::load(out, at).mul(factor).store(out, at);
        }
    }
}

struct Tile<'a> {
    /// f32[head_dim, TILE].
    keys: &'a [f32],
    /// f32[TILE, head_dim].
    values: &'a [f32],
    first: usize,
    n_rows: usize,
}

struct State<'a, F: Fn(usize) -> usize> {
    out: &'a mut [f32],
    maxima: &'a mut [f32],
    totals: &'a mut [f32],
    /// f32[4, TILE].
    weights: &'a mut [f32],
    at: &'a F,
}

/// One tile for queries `query .. query + N`.
fn tile_step<const N: usize>(
    tile: &Tile<'_>,
    q: &[f32],
    positions: &[u32],
    queries: Queries,
    query: usize,
    state: &mut State<'_, impl Fn(usize) -> usize>,
) {
    let visible: [(usize, usize); N] = core::array::from_fn(|i| {
        let (low, high) = queries.visible(query + i, positions);
        let within = |row: usize| row.clamp(tile.first, tile.first + tile.n_rows) - tile.first;
        (within(low), within(high))
    });
    if visible.iter().all(|(low, high)| low >= high) {
        return;
    }
    let vectors: [&[f32]; N] = core::array::from_fn(|i| queries.vector(q, query + i));
    scores(state.weights, TILE, tile.keys, vectors, tile.n_rows, queries.scale);
    let mut factors = [F32x4::splat(1.0); N];
    for i in 0..N {
        let weights = &mut state.weights[i * TILE..(i + 1) * TILE];
        let (low, high) = visible[i];
        if low >= high {
            weights.fill(0.0);
            continue;
        }
        weights[..low].fill(LOWEST);
        weights[high..].fill(LOWEST);
        let mut largest = F32x4::splat(LOWEST);
        for four in weights.chunks_exact(4) {
            largest = largest.max(F32x4::load(four, 0));
        }
        let before = state.maxima[query + i];
        let largest = largest.max_lane();
        let after = if before < largest { largest } else { before };
        let factor = exp4(F32x4::splat(before - after));
        let mut total = F32x4::splat(0.0);
        for four in weights.chunks_exact_mut(4) {
            let weight = exp4(F32x4::load(four, 0).sub(F32x4::splat(after)));
            weight.store(four, 0);
            total = total.add(weight);
        }
        state.maxima[query + i] = after;
        let before = state.totals[query + i];
        state.totals[query + i] = before * factor.lanes()[0] + total.sum();
        factors[i] = factor;
    }
    add_values::<N>(tile, queries.head_dim, query, factors, state);
}

/// weights f32[N, stride] = scale q.k; rows past `n_rows` hold rubbish.
#[inline(always)]
fn scores<const N: usize>(
    weights: &mut [f32],
    stride: usize,
    keys: &[f32],
    vectors: [&[f32]; N],
    n_rows: usize,
    scale: f32,
) {
    let scale = F32x4::splat(scale);
    for row in (0..n_rows).step_by(8) {
        let mut sums = [[F32x4::splat(0.0); 2]; N];
        for (i, column) in keys.chunks_exact(TILE).enumerate() {
            let k = [F32x4::load(column, row), F32x4::load(column, row + 4)];
            for (sums, vector) in sums.iter_mut().zip(vectors) {
                let x = F32x4::splat(vector[i]);
                sums[0] = x.mul_add(k[0], sums[0]);
                sums[1] = x.mul_add(k[1], sums[1]);
            }
        }
        for (n, sums) in sums.into_iter().enumerate() {
            sums[0].mul(scale).store(weights, n * stride + row);
            sums[1].mul(scale).store(weights, n * stride + row + 4);
        }
    }
}

#[inline(always)]
fn add_values<const N: usize>(
    tile: &Tile<'_>,
    d: usize,
    query: usize,
    factors: [F32x4; N],
    state: &mut State<'_, impl Fn(usize) -> usize>,
) {
    let weights: [&[f32]; N] = core::array::from_fn(|n| &state.weights[n * TILE..(n + 1) * TILE]);
    for i in (0..d).step_by(8) {
        let mut sums: [[F32x4; 2]; N] = core::array::from_fn(|n| {
            let at = (state.at)(query + n) + i;
            [0, 4].map(|j| F32x4::load(state.out, at + j).mul(factors[n]))
        });
        for (row, values) in tile.values.chunks_exact(d).take(tile.n_rows).enumerate() {
            let v = [F32x4::load(values, i), F32x4::load(values, i + 4)];
            for (sums, weights) in sums.iter_mut().zip(weights) {
                let weight = F32x4::splat(weights[row]);
                sums[0] = weight.mul_add(v[0], sums[0]);
                sums[1] = weight.mul_add(v[1], sums[1]);
            }
        }
        for (n, sums) in sums.into_iter().enumerate() {
            let at = (state.at)(query + n) + i;
            sums[0].store(state.out, at);
            sums[1].store(state.out, at + 4);
        }
    }
}

/// Rows `first .. first + n_rows` to f32[head_dim, TILE]; the rest of a group of eight is zeros.
fn load_keys<C: Cell>(tile: &mut [f32], keys: &[C], d: usize, first: usize, n_rows: usize) {
    for row in (0..n_rows).step_by(4) {
        for i in (0..d).step_by(4) {
            let four = core::array::from_fn(|r| {
                if row + r < n_rows {
                    C::load4(keys, (first + row + r) * d + i)
                } else {
                    F32x4::splat(0.0)
                }
            });
            for (j, column) in F32x4::transpose(four).into_iter().enumerate() {
                column.store(tile, (i + j) * TILE + row);
            }
        }
    }
    if n_rows % 8 != 0 && n_rows % 8 <= 4 {
        for column in tile.chunks_exact_mut(TILE) {
            column[n_rows.next_multiple_of(4)..n_rows.next_multiple_of(8)].fill(0.0);
        }
    }
}

fn load_values<C: Cell>(tile: &mut [f32], values: &[C], d: usize, first: usize, n_rows: usize) {
    let values = &values[first * d..(first + n_rows) * d];
    for i in (0..values.len()).step_by(4) {
        C::load4(values, i).store(tile, i);
    }
}

/// f32 elements of scratch that [`measure_window`] needs.
pub fn measure_scratch_len(n_rows: usize, head_dim: usize) -> usize {
    TILE * head_dim + 4 * n_rows.next_multiple_of(TILE)
}

/// Adds to out f32[n_groups, out_stride] the softmax rows of the queries of one kv head, summed
/// over tokens in order (methods.md 0.4, signal `window`).
pub fn measure_window<C: Cell>(
    out: &mut [f32],
    out_stride: usize,
    q: &[f32],
    rows: &HeadRows<'_, C>,
    queries: Queries,
    scratch: &mut [f32],
) {
    let (keys, weights) = scratch.split_at_mut(TILE * queries.head_dim);
    let n = queries.len();
    let mut query = 0;
    while query < n {
        let width = (n - query).min(4);
        match width {
            4 => all_scores::<4, C>(weights, keys, q, rows, queries, query),
            3 => all_scores::<3, C>(weights, keys, q, rows, queries, query),
            2 => all_scores::<2, C>(weights, keys, q, rows, queries, query),
            _ => all_scores::<1, C>(weights, keys, q, rows, queries, query),
        }
        let stride = rows.positions.len().next_multiple_of(TILE);
        for (i, weights) in weights.chunks_exact_mut(stride).take(width).enumerate() {
            let (low, high) = queries.visible(query + i, rows.positions);
            let group = (query + i) % queries.n_groups;
            add_softmax(&mut out[group * out_stride..][low..high], weights, low, high);
        }
        query += width;
    }
}

/// weights f32[N, stride] = scale q.k of queries `query .. query + N` over all rows.
fn all_scores<const N: usize, C: Cell>(
    weights: &mut [f32],
    keys: &mut [f32],
    q: &[f32],
    rows: &HeadRows<'_, C>,
    queries: Queries,
    query: usize,
) {
    let n_rows = rows.positions.len();
    let stride = n_rows.next_multiple_of(TILE);
    let vectors: [&[f32]; N] = core::array::from_fn(|i| queries.vector(q, query + i));
    for first in (0..n_rows).step_by(TILE) {
        let n = TILE.min(n_rows - first);
        load_keys(keys, rows.keys, queries.head_dim, first, n);
        scores::<N>(&mut weights[first..], stride, keys, vectors, n, queries.scale);
    }
}

/// sums += softmax of the scores [low, high); `scores` is a multiple of [`TILE`] long.
fn add_softmax(sums: &mut [f32], scores: &mut [f32], low: usize, high: usize) {
    scores[..low].fill(LOWEST);
    scores[high..].fill(LOWEST);
    let mut largest = F32x4::splat(LOWEST);
    for four in scores.chunks_exact(4) {
        largest = largest.max(F32x4::load(four, 0));
    }
    let largest = F32x4::splat(largest.max_lane());
    let mut total = 0f64;
    for tile in scores.chunks_exact_mut(TILE) {
        let mut sum = F32x4::splat(0.0);
        for four in tile.chunks_exact_mut(4) {
            let weight = exp4(F32x4::load(four, 0).sub(largest));
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

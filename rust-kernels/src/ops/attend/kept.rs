//! Attention that keeps its weights until they are added to the columns: the signal `colSum` (methods.md
//! 0.4) for the price of an addition, without a second pass over keys and exponentials.
//!
//! A kept weight of row j is exp(s - m), m the running maximum of
//! its split after j's tile. With the query's final
//! maximum M and total, its softmax is weight * (exp(m - M) / total): one factor per query and tile.
//! Columns add queries in order, so the sums are the same bits in parts or at once.
use super::many::{self, Weights};
use super::tile::{BLOCK, Tiles};
use super::{Queries, Running, Sums, TILE, Target, sums, within};
use crate::cache_rows::HeadRows;
use crate::lanes::F32x4;
use crate::math::exp::exp;

/// What a part's queries weighed each row with.
pub(super) struct Kept<'a> {
    /// f32[queries, to a whole block, stride].
    weights: &'a mut [f32],
    stride: usize,
    /// f32[queries, tiles]: the maximum that a tile's weights are relative to.
    maxima: &'a mut [f32],
}

impl<'a> Kept<'a> {
    fn len(n_queries: usize, n_rows: usize) -> (usize, usize) {
        let n_tiles = n_rows.div_ceil(TILE);
        (n_queries.next_multiple_of(BLOCK) * n_tiles * TILE, n_queries * n_tiles)
    }

    fn new(scratch: &'a mut [f32], n_queries: usize, n_rows: usize) -> Self {
        let (n_weights, n_maxima) = Self::len(n_queries, n_rows);
        let (weights, rest) = scratch.split_at_mut(n_weights);
        let stride = n_rows.next_multiple_of(TILE);
        Self { weights, stride, maxima: &mut rest[..n_maxima] }
    }

    /// Room for the weights of a block from `query` in the tile from row `first`.
    pub(super) fn weights(&mut self, query: usize, first: usize) -> Weights<'_> {
        let cells = &mut self.weights[query * self.stride + first..];
        Weights { cells, stride: self.stride }
    }

    /// The running maxima that the weights just kept are relative to.
    pub(super) fn note_maxima(
        &mut self,
        queries: core::ops::Range<usize>,
        first: usize,
        running: &Running<'_>,
    ) {
        let n_tiles = self.stride / TILE;
        for query in queries {
            self.maxima[query * n_tiles + first / TILE] = running.maxima[query];
        }
    }
}

/// f32 elements of scratch that [`attend_keeping`] needs, and then [`add_columns`].
pub fn kept_scratch_len(n_queries: usize, head_dim: usize, n_rows: usize) -> usize {
    let (n_weights, n_maxima) = Kept::len(n_queries, n_rows);
    many::scratch_len(n_queries, head_dim) + n_weights + n_maxima
}

/// Attention as `attend`, the same bits; what [`add_columns`] needs stays in `scratch`.
pub fn attend_keeping<T: Tiles>(
    target: Target<'_>,
    q: &[f32],
    rows: &HeadRows<'_, T>,
    queries: Queries,
    scratch: &mut [f32],
) {
    let n = queries.len();
    let (own, kept) = scratch.split_at_mut(many::scratch_len(n, queries.head_dim));
    let (state, work) = own.split_at_mut(sums::scratch_len(n, queries.head_dim));
    let mut kept = Kept::new(kept, n, rows.positions.len());
    let mut sums = Sums::new(target, queries, state);
    many::attend(&mut sums, q, rows, queries, work, Some(&mut kept));
    sums.finish(queries);
}

/// Adds to out f32[n_groups, out_stride] the softmax rows of the queries that [`attend_keeping`] was
/// just called with over rows at `positions`.
pub fn add_columns(
    out: &mut [f32],
    out_stride: usize,
    positions: &[u32],
    queries: Queries,
    scratch: &mut [f32],
) {
    let (n, n_rows) = (queries.len(), positions.len());
    let (own, kept) = scratch.split_at_mut(many::scratch_len(n, queries.head_dim));
    let (maxima, totals) = own[..2 * n].split_at(n);
    let Kept { weights, stride, maxima: factors } = Kept::new(kept, n, n_rows);
    let n_tiles = stride / TILE;
    for (query, factors) in factors.chunks_exact_mut(n_tiles.max(1)).enumerate() {
        for factor in factors {
            *factor = exp(*factor - maxima[query]) / totals[query];
        }
    }
    for (tile, first) in (0..n_rows).step_by(TILE).enumerate() {
        let n_own = TILE.min(n_rows - first);
        let (begin, end) = seers(queries, positions, first, n_own);
        for group in 0..queries.n_groups {
            let at = group * out_stride + first;
            let mut sums = [0f32; TILE];
            sums[..n_own].copy_from_slice(&out[at..at + n_own]);
            for (half, sums) in sums.chunks_exact_mut(TILE / 2).enumerate() {
                let mut lanes: [F32x4; 8] = core::array::from_fn(|i| F32x4::load(sums, 4 * i));
                for token in begin..end {
                    let query = token * queries.n_groups + group;
                    let factor = F32x4::splat(factors[query * n_tiles + tile]);
                    let own = &weights[query * stride + first + half * TILE / 2..][..TILE / 2];
                    for (i, sum) in lanes.iter_mut().enumerate() {
                        *sum = F32x4::load(own, 4 * i).mul_add(factor, *sum);
                    }
                }
                for (i, sum) in lanes.into_iter().enumerate() {
                    sum.store(sums, 4 * i);
                }
            }
            out[at..at + n_own].copy_from_slice(&sums[..n_own]);
        }
    }
}

/// Tokens [begin, end) that see rows of a tile: neighbours, as windows move with the token.
fn seers(queries: Queries, positions: &[u32], first: usize, n_rows: usize) -> (usize, usize) {
    let sees = |token: &usize| {
        let (low, high) =
            within(queries.visible(token * queries.n_groups, positions), first, n_rows);
        low < high
    };
    let begin = (0..queries.n_tokens).find(sees).unwrap_or(queries.n_tokens);
    let n = (begin..queries.n_tokens).take_while(sees).count();
    (begin, begin + n)
}

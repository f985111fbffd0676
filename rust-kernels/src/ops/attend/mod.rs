//! out = softmax(scale q.k) v over the rows that each query sees, online over tiles of 64 rows.
//!
//! Tiles start at multiples of 64 rows. A score adds its products in four lanes, lane c taking
//! channels 4n + c, then (0 + 2) + (1 + 3); a tile's weights are exp(s - running max), added the
//! same way over lanes 4n + i; values are added row by row, and splits of 512 rows are merged in order
//! (sums.rs). The order depends on the rows alone, so
//! a query's result is the same bits whichever queries share the call, in `many` (tiles re-laid for
//! blocks of queries) and in `single` (rows read where they lie). Source: Milakov & Gimelshein 2018
//! (online softmax).
mod bytes;
mod bytes_single;
mod floats;
mod kept;
mod many;
mod single;
mod sums;
mod tile;
mod window;

pub use kept::{add_columns, attend_keeping, kept_scratch_len};
use sums::Sums;
pub use sums::{MAX_GROUPS, SPLIT, merge_splits, split_len};
pub use tile::Tiles;
pub use window::{measure_scratch_len, measure_window};

use crate::cache_rows::HeadRows;
use crate::lanes::F32x4;
use crate::math::exp::Exp;

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
    /// Channels, a multiple of 8.
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
        &q[self.at(query, self.stride, self.column)..][..self.head_dim]
    }

    /// Where a query's vector begins in [n_tokens, stride] from `column`.
    fn at(&self, query: usize, stride: usize, column: usize) -> usize {
        let (token, group) = (query / self.n_groups, query % self.n_groups);
        token * stride + column + group * self.head_dim
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

/// Where results go: f32[n_tokens, stride] from `column`.
pub struct Target<'a> {
    /// The whole buffer.
    pub out: &'a mut [f32],
    /// From one token to the next.
    pub stride: usize,
    /// Of the kv head's first query head.
    pub column: usize,
}

/// f32 elements of scratch that [`attend`] needs.
pub fn attend_scratch_len(n_queries: usize, head_dim: usize) -> usize {
    many::scratch_len(n_queries, head_dim)
}

/// Attention of the queries of one kv head.
pub fn attend<T: Tiles>(
    target: Target<'_>,
    q: &[f32],
    rows: &HeadRows<'_, T>,
    queries: Queries,
    scratch: &mut [f32],
) {
    let (state, scratch) = scratch.split_at_mut(sums::scratch_len(queries.len(), queries.head_dim));
    let mut sums = Sums::new(target, queries, state);
    if queries.n_tokens == 1 {
        T::attend_one(&mut sums, q, rows, queries, 0..rows.positions.len(), scratch);
    } else {
        many::attend(&mut sums, q, rows, queries, scratch, None);
    }
    sums.finish(queries);
}

/// Attention of one token over the rows of split `split`, unmerged, to out f32[`split_len`].
pub fn attend_split<T: Tiles>(
    out: &mut [f32],
    q: &[f32],
    rows: &HeadRows<'_, T>,
    queries: Queries,
    split: usize,
    scratch: &mut [f32],
) {
    let first = split * SPLIT;
    let range = first..rows.positions.len().min(first + SPLIT);
    let mut sums = Sums::of_split(queries, out);
    T::attend_one(&mut sums, q, rows, queries, range, scratch);
}

/// Per query: the largest score so far, and the sum of weights relative to it.
pub struct Running<'a> {
    maxima: &'a mut [f32],
    totals: &'a mut [f32],
}

impl Running<'_> {
    /// Scores of a tile, f32[TILE], of which `query` sees [low, high), become weights; what was
    /// summed before counts `factor` times as much.
    #[inline(always)]
    fn weigh(&mut self, query: usize, scores: &mut [f32], (low, high): (usize, usize)) -> F32x4 {
        let scores = &mut scores[..TILE];
        if low >= high {
            scores.fill(0.0);
            return F32x4::splat(1.0);
        }
        let (first, last) = (low - low % 4, high.next_multiple_of(4));
        scores[..first].fill(0.0);
        scores[last..].fill(0.0);
        scores[first..low].fill(LOWEST);
        scores[high..last].fill(LOWEST);
        let scores = &mut scores[first..last];
        let mut largest = F32x4::splat(LOWEST);
        for four in scores.chunks_exact(4) {
            largest = largest.max(F32x4::load(four, 0));
        }
        let before = self.maxima[query];
        let largest = largest.max_lane();
        let after = if before < largest { largest } else { before };
        let exp = Exp::new();
        let factor = exp.of(F32x4::splat(before - after));
        let mut total = F32x4::splat(0.0);
        for four in scores.chunks_exact_mut(4) {
            let weight = exp.of(F32x4::load(four, 0).sub(F32x4::splat(after)));
            weight.store(four, 0);
            total = total.add(weight);
        }
        self.maxima[query] = after;
        self.totals[query] = self.totals[query] * factor.lanes()[0] + total.sum();
        factor
    }
}

/// The part of [low, high) inside the tile of `n` rows from `first`, relative to it.
fn within((low, high): (usize, usize), first: usize, n: usize) -> (usize, usize) {
    let inside = |row: usize| row.clamp(first, first + n) - first;
    (inside(low), inside(high))
}

//! Attention of several tokens: each tile is re-laid once and read by all queries, four at a time.
use super::kept::Kept;
use super::tile::{BLOCK, Tiles};
use super::{Queries, SPLIT, Sums, TILE, sums, within};
use crate::cache_rows::HeadRows;
use crate::lanes::F32x4;

pub(super) fn scratch_len(n_queries: usize, d: usize) -> usize {
    let packed = n_queries.div_ceil(BLOCK) * BLOCK * d;
    sums::scratch_len(n_queries, d) + 2 * TILE * d + packed + 2 * BLOCK * TILE
}

pub(super) fn attend<T: Tiles>(
    sums: &mut Sums<'_>,
    q: &[f32],
    rows: &HeadRows<'_, T>,
    queries: Queries,
    scratch: &mut [f32],
    mut kept: Option<&mut Kept<'_>>,
) {
    let (d, n) = (queries.head_dim, queries.len());
    let (keys, rest) = scratch.split_at_mut(TILE * d);
    let (values, rest) = rest.split_at_mut(TILE * d);
    let (weights, rest) = rest.split_at_mut(BLOCK * TILE);
    let (work, rest) = rest.split_at_mut(BLOCK * TILE);
    let packed = &mut rest[..n.div_ceil(BLOCK) * BLOCK * d];
    for (block, packed) in packed.chunks_exact_mut(BLOCK * d).enumerate() {
        let first = BLOCK * block;
        let vectors: [&[f32]; BLOCK] =
            core::array::from_fn(|i| queries.vector(q, (first + i).min(n - 1)));
        T::pack_queries(packed, &vectors[..(n - first).min(BLOCK)], d);
    }
    for first in (0..rows.positions.len()).step_by(TILE) {
        if first % SPLIT == 0 && first > 0 {
            sums.close(queries);
        }
        let n_rows = TILE.min(rows.positions.len() - first);
        T::load_keys(keys, rows.keys, d, first, n_rows);
        T::load_values(values, rows.values, d, first, n_rows);
        let mut step = Step { keys, values, first, n_rows, work };
        for (block, packed) in packed.chunks_exact(BLOCK * d).enumerate() {
            let query = BLOCK * block;
            let mut weights = match kept.as_deref_mut() {
                Some(kept) => kept.weights(query, first),
                None => Weights { cells: weights, stride: TILE },
            };
            let (step, packed) = (&mut step, (packed, rows.positions));
            let is_seen = match n - query {
                1 => step.block::<T, 1>(sums, packed, &mut weights, queries, query),
                2 => step.block::<T, 2>(sums, packed, &mut weights, queries, query),
                3 => step.block::<T, 3>(sums, packed, &mut weights, queries, query),
                _ => step.block::<T, 4>(sums, packed, &mut weights, queries, query),
            };
            if let (true, Some(kept)) = (is_seen, kept.as_deref_mut()) {
                kept.note_maxima(query..n.min(query + BLOCK), first, &sums.running);
            }
        }
    }
}

/// The weights of a block: those of query n for a tile's rows at [n stride ..].
pub struct Weights<'a> {
    /// All of them.
    pub cells: &'a mut [f32],
    /// From one query's to the next's.
    pub stride: usize,
}

/// A tile.
struct Step<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    first: usize,
    n_rows: usize,
    /// f32[BLOCK TILE].
    work: &'a mut [f32],
}

impl Step<'_> {
    /// Adds the tile's part to `N` queries; false where none of them sees it.
    fn block<T: Tiles, const N: usize>(
        &mut self,
        sums: &mut Sums<'_>,
        (packed, positions): (&[f32], &[u32]),
        weights: &mut Weights<'_>,
        queries: Queries,
        query: usize,
    ) -> bool {
        let visible: [(usize, usize); N] = core::array::from_fn(|i| {
            within(queries.visible(query + i, positions), self.first, self.n_rows)
        });
        if visible.iter().all(|(low, high)| low >= high) {
            return false;
        }
        // Of rows past them the weights are zeros.
        let n_rows = visible.iter().fold(0, |n, (_, high)| n.max(*high));
        let stride = weights.stride;
        T::scores::<N>(weights.cells, stride, self.keys, packed, n_rows, queries.scale);
        let mut factors = [F32x4::splat(1.0); N];
        for (i, factor) in factors.iter_mut().enumerate() {
            let own = &mut weights.cells[i * stride..][..TILE];
            *factor = sums.running.weigh(query + i, own, visible[i]);
        }
        let at = core::array::from_fn(|i| queries.at(query + i, sums.part.stride, 0));
        let (work, values) = (&mut *self.work, self.values);
        T::add_values::<N>(sums.part.out, at, factors, weights, work, values, n_rows);
        true
    }
}

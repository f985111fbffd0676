//! Attention of several tokens: each tile is re-laid once and read by all queries, four at a time.
use super::kept::Kept;
use super::tile::{BLOCK, load_keys, load_values, pack_queries, scores};
use super::{Queries, Running, TILE, Target, within};
use crate::cache_rows::{Cell, HeadRows};
use crate::lanes::F32x4;

pub(super) fn scratch_len(n_queries: usize, d: usize) -> usize {
    let packed = n_queries.div_ceil(BLOCK) * BLOCK * d;
    2 * n_queries + 2 * TILE * d + packed + 2 * BLOCK * TILE
}

pub(super) fn attend<C: Cell>(
    target: &mut Target<'_>,
    q: &[f32],
    rows: &HeadRows<'_, C>,
    queries: Queries,
    running: &mut Running<'_>,
    scratch: &mut [f32],
    mut kept: Option<&mut Kept<'_>>,
) {
    let (d, n) = (queries.head_dim, queries.len());
    let (keys, rest) = scratch.split_at_mut(TILE * d);
    let (values, rest) = rest.split_at_mut(TILE * d);
    let (weights, rest) = rest.split_at_mut(BLOCK * TILE);
    let (turned, rest) = rest.split_at_mut(BLOCK * TILE);
    let packed = &mut rest[..n.div_ceil(BLOCK) * BLOCK * d];
    for (block, packed) in packed.chunks_exact_mut(BLOCK * d).enumerate() {
        let first = BLOCK * block;
        let vectors: [&[f32]; BLOCK] =
            core::array::from_fn(|i| queries.vector(q, (first + i).min(n - 1)));
        pack_queries(packed, &vectors[..(n - first).min(BLOCK)], d);
    }
    for first in (0..rows.positions.len()).step_by(TILE) {
        let n_rows = TILE.min(rows.positions.len() - first);
        load_keys(keys, rows.keys, d, first, n_rows);
        load_values(values, rows.values, d, first, n_rows);
        let mut step = Step { keys, values, first, n_rows, turned };
        for (block, packed) in packed.chunks_exact(BLOCK * d).enumerate() {
            let query = BLOCK * block;
            let mut weights = match kept.as_deref_mut() {
                Some(kept) => kept.weights(query, first),
                None => Weights { cells: weights, stride: TILE },
            };
            let (step, packed) = (&mut step, (packed, rows.positions));
            let is_seen = match n - query {
                1 => step.block::<1>(target, packed, &mut weights, queries, query, running),
                2 => step.block::<2>(target, packed, &mut weights, queries, query, running),
                3 => step.block::<3>(target, packed, &mut weights, queries, query, running),
                _ => step.block::<4>(target, packed, &mut weights, queries, query, running),
            };
            if let (true, Some(kept)) = (is_seen, kept.as_deref_mut()) {
                kept.note_maxima(query..n.min(query + BLOCK), first, running);
            }
        }
    }
}

/// The weights of a block: those of query n for a tile's rows at [n stride ..].
pub(super) struct Weights<'a> {
    pub(super) cells: &'a mut [f32],
    pub(super) stride: usize,
}

/// A tile.
struct Step<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    first: usize,
    n_rows: usize,
    /// f32[TILE, BLOCK].
    turned: &'a mut [f32],
}

impl Step<'_> {
    /// Adds the tile's part to `N` queries; false where none of them sees it.
    fn block<const N: usize>(
        &mut self,
        target: &mut Target<'_>,
        (packed, positions): (&[f32], &[u32]),
        weights: &mut Weights<'_>,
        queries: Queries,
        query: usize,
        running: &mut Running<'_>,
    ) -> bool {
        let visible: [(usize, usize); N] = core::array::from_fn(|i| {
            within(queries.visible(query + i, positions), self.first, self.n_rows)
        });
        if visible.iter().all(|(low, high)| low >= high) {
            return false;
        }
        let Weights { cells, stride } = weights;
        scores::<N>(cells, *stride, self.keys, packed, self.n_rows, queries.scale);
        let mut factors = [F32x4::splat(1.0); N];
        for (i, factor) in factors.iter_mut().enumerate() {
            let own = &mut cells[i * *stride..][..TILE];
            *factor = running.weigh(query + i, own, visible[i]);
        }
        self.turn(cells, *stride);
        let at: [usize; N] =
            core::array::from_fn(|i| queries.at(query + i, target.stride, target.column));
        let panels = self.values.chunks_exact(8 * TILE).take(queries.head_dim / 8);
        for (p, panel) in panels.enumerate() {
            let mut sums: [[F32x4; 2]; N] = core::array::from_fn(|n| {
                [0, 4].map(|j| F32x4::load(target.out, at[n] + 8 * p + j).mul(factors[n]))
            });
            let rows = panel.chunks_exact(8).zip(self.turned.chunks_exact(BLOCK));
            for (values, weights) in rows.take(self.n_rows) {
                let v = [F32x4::load(values, 0), F32x4::load(values, 4)];
                for (n, sums) in sums.iter_mut().enumerate() {
                    let weight = F32x4::splat(weights[n]);
                    sums[0] = weight.mul_add(v[0], sums[0]);
                    sums[1] = weight.mul_add(v[1], sums[1]);
                }
            }
            for (n, sums) in sums.into_iter().enumerate() {
                sums[0].store(target.out, at[n] + 8 * p);
                sums[1].store(target.out, at[n] + 8 * p + 4);
            }
        }
        true
    }

    /// `turned` = `weights` with rows outermost.
    fn turn(&mut self, weights: &[f32], stride: usize) {
        for row in (0..TILE).step_by(4) {
            let four = core::array::from_fn(|n| F32x4::load(weights, n * stride + row));
            for (i, lanes) in F32x4::transpose(four).into_iter().enumerate() {
                lanes.store(self.turned, BLOCK * (row + i));
            }
        }
    }
}

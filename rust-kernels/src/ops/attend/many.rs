//! Attention of several tokens: each tile is re-laid once and read by all queries, four at a time.
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
        let mut step = Step { keys, values, first, n_rows, weights, turned };
        for (block, packed) in packed.chunks_exact(BLOCK * d).enumerate() {
            let query = BLOCK * block;
            match n - query {
                1 => step.block::<1>(target, packed, rows.positions, queries, query, running),
                2 => step.block::<2>(target, packed, rows.positions, queries, query, running),
                3 => step.block::<3>(target, packed, rows.positions, queries, query, running),
                _ => step.block::<4>(target, packed, rows.positions, queries, query, running),
            }
        }
    }
}

/// A tile and room for the weights of a block.
struct Step<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    first: usize,
    n_rows: usize,
    /// f32[BLOCK, TILE].
    weights: &'a mut [f32],
    /// f32[TILE, BLOCK].
    turned: &'a mut [f32],
}

impl Step<'_> {
    fn block<const N: usize>(
        &mut self,
        target: &mut Target<'_>,
        packed: &[f32],
        positions: &[u32],
        queries: Queries,
        query: usize,
        running: &mut Running<'_>,
    ) {
        let visible: [(usize, usize); N] = core::array::from_fn(|i| {
            within(queries.visible(query + i, positions), self.first, self.n_rows)
        });
        if visible.iter().all(|(low, high)| low >= high) {
            return;
        }
        scores::<N>(self.weights, TILE, self.keys, packed, self.n_rows, queries.scale);
        let mut factors = [F32x4::splat(1.0); N];
        for (i, weights) in self.weights.chunks_exact_mut(TILE).take(N).enumerate() {
            factors[i] = running.weigh(query + i, weights, visible[i]);
        }
        self.turn();
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
    }

    /// `turned` = `weights` with rows outermost.
    fn turn(&mut self) {
        for row in (0..TILE).step_by(4) {
            let four = core::array::from_fn(|n| F32x4::load(self.weights, n * TILE + row));
            for (i, lanes) in F32x4::transpose(four).into_iter().enumerate() {
                lanes.store(self.turned, BLOCK * (row + i));
            }
        }
    }
}

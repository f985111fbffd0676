//! Sums of weights times values, by splits of [`SPLIT`] rows: each is summed from nothing and merged
//! with those before it in order. Where splits begin depends on the rows alone, so threads that take
//! splits of their own give the bits of one thread.
use super::{LOWEST, Queries, Running, TILE, Target};
use crate::lanes::F32x4;
use crate::math::exp::exp;

/// Rows of a split.
pub const SPLIT: usize = 8 * TILE;

/// The sums of the rows before the current split, and those of the split.
pub struct Sums<'a> {
    whole: Target<'a>,
    merged: Running<'a>,
    /// f32[queries, d].
    pub(super) part: Target<'a>,
    pub(super) running: Running<'a>,
}

/// f32 elements of scratch that [`Sums`] needs.
pub(super) fn scratch_len(n_queries: usize, d: usize) -> usize {
    n_queries * (4 + d)
}

impl<'a> Sums<'a> {
    /// Nothing seen yet. The first f32[2, queries] of `scratch` are maxima and totals of all rows.
    pub(super) fn new(whole: Target<'a>, queries: Queries, scratch: &'a mut [f32]) -> Self {
        let (n, d) = (queries.len(), queries.head_dim);
        let (merged, rest) = scratch.split_at_mut(2 * n);
        let (running, rest) = rest.split_at_mut(2 * n);
        for query in 0..n {
            let at = queries.at(query, whole.stride, whole.column);
            whole.out[at..at + d].fill(0.0);
        }
        let part = &mut rest[..n * d];
        part.fill(0.0);
        let stride = queries.n_groups * d;
        let part = Target { out: part, stride, column: 0 };
        Self { whole, merged: Running::new(merged), part, running: Running::new(running) }
    }

    /// Of one split of one token; `out` f32[`split_len`]. Nothing is merged.
    pub(super) fn of_split(queries: Queries, out: &'a mut [f32]) -> Self {
        let (state, part) = out.split_at_mut(2 * queries.n_groups);
        part.fill(0.0);
        let part = Target { stride: part.len(), out: part, column: 0 };
        let whole = Target { out: &mut [], stride: 0, column: 0 };
        Self { whole, merged: Running::new(&mut []), part, running: Running::new(state) }
    }

    /// Ends a split: its sums join those before it.
    pub(super) fn close(&mut self, queries: Queries) {
        let d = queries.head_dim;
        for query in 0..queries.len() {
            let at = queries.at(query, self.whole.stride, self.whole.column);
            let out = &mut self.whole.out[at..at + d];
            let part = &mut self.part.out[query * d..(query + 1) * d];
            self.merged.merge(query, out, &self.running, query, part);
            part.fill(0.0);
        }
        self.running.clear();
    }

    /// Ends the last split and divides by the sums of weights.
    pub(super) fn finish(mut self, queries: Queries) {
        self.close(queries);
        for query in 0..queries.len() {
            let at = queries.at(query, self.whole.stride, self.whole.column);
            self.merged.divide(query, &mut self.whole.out[at..at + queries.head_dim]);
        }
    }
}

impl<'a> Running<'a> {
    /// Of nothing; `state` f32[2, queries].
    pub(super) fn new(state: &'a mut [f32]) -> Self {
        let (maxima, totals) = state.split_at_mut(state.len() / 2);
        let mut running = Running { maxima, totals };
        running.clear();
        running
    }

    fn clear(&mut self) {
        self.maxima.fill(LOWEST);
        self.totals.fill(0.0);
    }

    /// out f32[d] of `query` takes in `part` f32[d], which is relative to `other`'s `own`.
    fn merge(
        &mut self,
        query: usize,
        out: &mut [f32],
        other: &Running<'_>,
        own: usize,
        part: &[f32],
    ) {
        let (maximum, total) = (other.maxima[own], other.totals[own]);
        if !(total > 0.0) {
            return;
        }
        let before = self.maxima[query];
        let after = if before < maximum { maximum } else { before };
        let (old, new) = (exp(before - after), exp(maximum - after));
        self.maxima[query] = after;
        self.totals[query] = self.totals[query] * old + total * new;
        let (old, new) = (F32x4::splat(old), F32x4::splat(new));
        for i in (0..out.len()).step_by(4) {
            let sum = F32x4::load(part, i).mul_add(new, F32x4::load(out, i).mul(old));
            sum.store(out, i);
        }
    }

    fn divide(&self, query: usize, out: &mut [f32]) {
        let total = self.totals[query];
        let factor = F32x4::splat(if total > 0.0 { 1.0 / total } else { 0.0 });
        for four in out.chunks_exact_mut(4) {
            F32x4::load(four, 0).mul(factor).store(four, 0);
        }
    }
}

/// f32 elements of what a split of one token leaves: maxima, totals and sums of its queries.
pub fn split_len(n_groups: usize, d: usize) -> usize {
    n_groups * (2 + d)
}

/// out f32[n_groups, d] of one token from what its splits left, in order.
pub fn merge_splits(out: &mut [f32], splits: &mut [f32], n_groups: usize, d: usize) {
    let mut state = [0f32; 2 * MAX_GROUPS];
    let mut merged = Running::new(&mut state[..2 * n_groups]);
    out.fill(0.0);
    for split in splits.chunks_exact_mut(split_len(n_groups, d)) {
        let (state, part) = split.split_at_mut(2 * n_groups);
        let (maxima, totals) = state.split_at_mut(n_groups);
        let running = Running { maxima, totals };
        for (query, out) in out.chunks_exact_mut(d).enumerate() {
            merged.merge(query, out, &running, query, &part[query * d..(query + 1) * d]);
        }
    }
    for (query, out) in out.chunks_exact_mut(d).enumerate() {
        merged.divide(query, out);
    }
}

/// Most query heads of a kv head in [`merge_splits`].
pub const MAX_GROUPS: usize = 64;

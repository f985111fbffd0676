//! How much a row stands out in the ranges of the rows that follow it (LagKV).
//!
//! After `n_sink` rows come partitions of `lag_size`. A row of partition p is normalised by p + 1,
//! channel by channel, and scored by how much its channels then differ:
//!
//!     x[c] = (row[c] - min[c]) / (max[c] - min[c]),  min, max over the rows of p + 1
//!     score = softmax over the rows of p of std(x),  std over the channels, unbiased
//!
//! The scores of keys and values are averaged. The last whole partition and what follows it have
//! nothing to be compared with.
//!
//! Source: Liang et al. 2025, arXiv:2504.04704, in kvpress's form. Deviation: a channel that is
//! constant over p + 1 has the range [`MIN_RANGE`], so that nothing is divided by zero.

use crate::lanes::F32x4;
use crate::sample::softmax::softmax;
use crate::select::order_key;

/// The smallest range of a channel.
pub const MIN_RANGE: f32 = 1e-6;

/// How rows of different partitions compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagScale {
    /// By rank within the partition, as a share of `lag_size`; of equal scores the older row ranks
    /// higher.
    Rank,
    /// By score.
    Score,
}

/// Rows and partitions of one kv head.
#[derive(Clone, Copy, Debug)]
pub struct LagShape {
    /// Channels of a row.
    pub head_dim: usize,
    /// Rows before the first partition.
    pub n_sink: usize,
    /// Rows of a partition.
    pub lag_size: usize,
}

/// Working memory of [`lag_scores`].
pub struct LagScratch<'a> {
    /// f32`[2 * head_dim]`: smallest of each channel, and one over its range.
    pub ranges: &'a mut [f32],
    /// f32`[lag_size]`: scores of the values of a partition.
    pub scores: &'a mut [f32],
    /// u64`[lag_size]`: keys to sort by.
    pub order: &'a mut [u64],
}

/// Scores of `keys` and `values` `[out.len(), head_dim]` to `out`: below 1 in partitions that have
/// a successor, 1 before and after them. Returns how many rows lie after them.
///
/// With fewer than two partitions there is nothing to compare: rows after the sinks score by
/// recency and 0 is returned.
pub fn lag_scores(
    keys: &[f32],
    values: &[f32],
    shape: LagShape,
    scale: LagScale,
    scratch: LagScratch,
    out: &mut [f32],
) -> usize {
    let LagShape { head_dim, n_sink, lag_size } = shape;
    debug_assert!(keys.len() == out.len() * head_dim && values.len() == keys.len());
    let n_rows = out.len();
    out.fill(1.0);
    let n_partitions = n_rows.saturating_sub(n_sink) / lag_size;
    if n_partitions < 2 {
        let n_scored = n_rows.saturating_sub(n_sink);
        for i in 0..n_scored {
            out[n_sink + i] = i as f32 / n_scored as f32;
        }
        return 0;
    }
    for partition in 0..n_partitions - 1 {
        let begin = n_sink + partition * lag_size;
        let two = begin * head_dim..(begin + 2 * lag_size) * head_dim;
        let out = &mut out[begin..begin + lag_size];
        let of_values = &mut *scratch.scores;
        partition_scores(&keys[two.clone()], scratch.ranges, out);
        partition_scores(&values[two], scratch.ranges, of_values);
        for (out, of_values) in out.iter_mut().zip(of_values) {
            *out = (*out + *of_values) / 2.0;
        }
        if scale == LagScale::Rank {
            rank(out, scratch.order);
        }
    }
    n_rows - n_sink - (n_partitions - 1) * lag_size
}

/// Scores of the first half of `rows[2 * out.len(), head_dim]` by the ranges of the second.
fn partition_scores(rows: &[f32], ranges: &mut [f32], out: &mut [f32]) {
    let head_dim = ranges.len() / 2;
    let (scored, next) = rows.split_at(rows.len() / 2);
    let (low, high) = ranges.split_at_mut(head_dim);
    low.fill(f32::INFINITY);
    high.fill(f32::NEG_INFINITY);
    for row in next.chunks_exact(head_dim) {
        widen(row, low, high);
    }
    for (high, &low) in high.iter_mut().zip(&*low) {
        *high = 1.0 / (*high - low).max(MIN_RANGE);
    }
    for (out, row) in out.iter_mut().zip(scored.chunks_exact(head_dim)) {
        *out = deviation(row, low, high);
    }
    softmax(out);
}

/// Makes the ranges hold the channels of `row`.
fn widen(row: &[f32], low: &mut [f32], high: &mut [f32]) {
    let whole = row.len() / 4 * 4;
    for c in (0..whole).step_by(4) {
        let x = F32x4::load(row, c);
        F32x4::load(low, c).min(x).store(low, c);
        F32x4::load(high, c).max(x).store(high, c);
    }
    for c in whole..row.len() {
        low[c] = low[c].min(row[c]);
        high[c] = high[c].max(row[c]);
    }
}

/// Unbiased standard deviation of `(row[c] - low[c]) * scale[c]`; 0 for a single channel.
fn deviation(row: &[f32], low: &[f32], scale: &[f32]) -> f32 {
    let n = row.len() as f32;
    let mean = sum_of(row, low, scale, 0.0, false) / n;
    (sum_of(row, low, scale, mean, true) / (n - 1.0).max(1.0)).sqrt()
}

/// Sum of `(row[c] - low[c]) * scale[c] - mean`, or of its squares.
#[inline(always)]
fn sum_of(row: &[f32], low: &[f32], scale: &[f32], mean: f32, is_squared: bool) -> f32 {
    let whole = row.len() / 4 * 4;
    let mut sum = F32x4::splat(0.0);
    for c in (0..whole).step_by(4) {
        let from_low = F32x4::load(row, c).sub(F32x4::load(low, c));
        let x = from_low.mul(F32x4::load(scale, c)).sub(F32x4::splat(mean));
        sum = sum.add(if is_squared { x.mul(x) } else { x });
    }
    (whole..row.len()).fold(sum.sum(), |sum, c| {
        let x = (row[c] - low[c]) * scale[c] - mean;
        sum + if is_squared { x * x } else { x }
    })
}

/// Scores to ranks from 0, divided by their number.
fn rank(scores: &mut [f32], order: &mut [u64]) {
    let n = scores.len();
    for (i, (key, &score)) in order.iter_mut().zip(&*scores).enumerate() {
        *key = u64::from(order_key(score)) << 32 | (n - 1 - i) as u64;
    }
    order.sort_unstable();
    for (rank, key) in order.iter().enumerate() {
        let i = n - 1 - (key & 0xffff_ffff) as usize;
        scores[i] = rank as f32 / n as f32;
    }
}

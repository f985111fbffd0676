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
    /// f32`[2 * head_dim]`: smallest and largest of each channel.
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
        for (c, &x) in row.iter().enumerate() {
            low[c] = low[c].min(x);
            high[c] = high[c].max(x);
        }
    }
    for (out, row) in out.iter_mut().zip(scored.chunks_exact(head_dim)) {
        *out = deviation(row, low, high);
    }
    softmax(out);
}

/// Unbiased standard deviation of the normalised channels, in f64; 0 for a single channel.
fn deviation(row: &[f32], low: &[f32], high: &[f32]) -> f32 {
    let n = row.len() as f64;
    let normalised = |c: usize| f64::from((row[c] - low[c]) / (high[c] - low[c]).max(MIN_RANGE));
    let mean = (0..row.len()).map(normalised).sum::<f64>() / n;
    let squares = (0..row.len()).map(|c| (normalised(c) - mean).powi(2));
    (squares.sum::<f64>() / (n - 1.0).max(1.0)).sqrt() as f32
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

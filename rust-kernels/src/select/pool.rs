//! 1-D pooling over neighbouring rows, stride 1, output as long as the input.

use super::group::{add, raise};

/// How the scores under the window are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Sum from left to right, divided by `kernel`: padding counts as zeros, so that the edges are
    /// biased low, as in PyTorch.
    Avg,
    /// Largest; padding and NaN count as -infinity.
    Max,
}

/// Pools one row `scores[n]` into `out[n]`; `kernel` is odd, the window reaches `kernel / 2` to
/// each side.
pub fn pool(scores: &[f32], kernel: usize, by: Pooling, out: &mut [f32]) {
    debug_assert!(kernel % 2 == 1 && scores.len() == out.len());
    let (n, radius) = (scores.len(), kernel / 2);
    out.fill(if by == Pooling::Max { f32::NEG_INFINITY } else { 0.0 });
    // One pass for each place in the window, so that the inner loops are free of edges.
    for place in 0..kernel {
        let (skipped_out, skipped_in) =
            (radius.saturating_sub(place), place.saturating_sub(radius));
        if skipped_out.max(skipped_in) >= n {
            continue;
        }
        let (out, scores) = (&mut out[skipped_out..], &scores[skipped_in..]);
        match by {
            Pooling::Avg => add(out, scores),
            Pooling::Max => raise(out, scores),
        }
    }
    if by == Pooling::Avg {
        for out in out {
            *out /= kernel as f32;
        }
    }
}

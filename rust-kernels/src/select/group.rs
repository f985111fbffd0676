//! Reduction over the query heads that share a kv head.

/// How the query heads of a group are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupReduction {
    /// Sum divided by the group size.
    Mean,
    /// Largest; a NaN is passed over unless all are NaN, then -infinity.
    Max,
    /// Sum in the order of the heads.
    Sum,
}

/// Scores `[n_kv_heads * n_groups, n]` to `out[n_kv_heads, n]`.
pub fn group_reduce(
    scores: &[f32],
    n: usize,
    n_groups: usize,
    by: GroupReduction,
    out: &mut [f32],
) {
    debug_assert_eq!(scores.len(), out.len() * n_groups);
    if n == 0 {
        return;
    }
    for (out, group) in out.chunks_exact_mut(n).zip(scores.chunks_exact(n * n_groups)) {
        out.fill(if by == GroupReduction::Max { f32::NEG_INFINITY } else { 0.0 });
        for head in group.chunks_exact(n) {
            match by {
                GroupReduction::Max => raise(out, head),
                GroupReduction::Mean | GroupReduction::Sum => add(out, head),
            }
        }
        if by == GroupReduction::Mean {
            for out in out {
                *out /= n_groups as f32;
            }
        }
    }
}

/// `out[i] = max(out[i], x[i])`, where a NaN in `x` counts as lowest.
#[inline]
pub(super) fn raise(out: &mut [f32], x: &[f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = if *out < x { x } else { *out };
    }
}

/// `out[i] += x[i]`.
#[inline]
pub(super) fn add(out: &mut [f32], x: &[f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out += x;
    }
}

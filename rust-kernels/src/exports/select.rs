//! Scoring and selection.

use crate::abi::{slice, slice_mut};
use crate::select::group::{self, GroupReduction};
use crate::select::pool::{self, Pooling};
use crate::select::top_k;
use wasm_bindgen::prelude::wasm_bindgen;

/// `scores` f32`[n_heads, n]` to `out` f32`[n_heads / n_groups, n]`, over the `n_groups` query
/// heads of each kv head; `by` is 0 mean, 1 max, 2 sum.
#[wasm_bindgen]
pub fn group_reduce(scores: u32, n_heads: u32, n_groups: u32, n: u32, by: u32, out: u32) {
    let (n_heads, n_groups, n) = (n_heads as usize, n_groups as usize, n as usize);
    let by = match by {
        0 => GroupReduction::Mean,
        1 => GroupReduction::Max,
        _ => GroupReduction::Sum,
    };
    // SAFETY: the caller allocated both arrays in these shapes, apart from each other.
    let (scores, out) =
        unsafe { (slice(scores, n_heads * n), slice_mut(out, n_heads / n_groups * n)) };
    group::group_reduce(scores, n, n_groups, by, out);
}

/// 1-D pooling of each row of `scores` f32`[n_rows, n]` to `out`, same shape; `kernel` is odd, `by`
/// is 0 average, 1 max.
#[wasm_bindgen]
pub fn pool(scores: u32, n_rows: u32, n: u32, kernel: u32, by: u32, out: u32) {
    let (n_rows, n) = (n_rows as usize, n as usize);
    let by = if by == 0 { Pooling::Avg } else { Pooling::Max };
    // SAFETY: the caller allocated both arrays in this shape, apart from each other.
    let (scores, out) = unsafe { (slice(scores, n_rows * n), slice_mut(out, n_rows * n)) };
    if n > 0 {
        for (scores, out) in scores.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            pool::pool(scores, kernel as usize, by, out);
        }
    }
}

/// The select rule over `scores` f32`[n]`: `forced` u32`[n_forced]` and the best of the rest, to
/// `out` u32`[min(n, max(budget, n_forced))]`, ascending. Returns the number of indices written.
/// `keys` u32`[n]` is scratch.
#[wasm_bindgen]
pub fn select(
    scores: u32,
    n: u32,
    budget: u32,
    forced: u32,
    n_forced: u32,
    keys: u32,
    out: u32,
) -> u32 {
    let n_kept = n.min(budget.max(n_forced)) as usize;
    // SAFETY: the caller allocated the four arrays in these lengths, apart from each other.
    let (scores, forced, keys, out) = unsafe {
        (
            slice(scores, n as usize),
            slice(forced, n_forced as usize),
            slice_mut(keys, n as usize),
            slice_mut(out, n_kept),
        )
    };
    top_k::select(scores, budget as usize, forced, keys, out) as u32
}

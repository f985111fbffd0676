//! Budgets of layers and heads, selection of units, and the scores that need no engine.

use crate::abi::{slice, slice_mut};
use crate::select::pyramid::{self, Pyramid};
use crate::select::split::{self, Guarantee, Heads, Scratch};
use crate::select::units::{self, Fill, UnitScore, Units};
use crate::select::{history, norm_prefix, random};
use wasm_bindgen::prelude::wasm_bindgen;

/// Rows of one head per layer, the exact form: `out` u32`[n_layers]` with the sum `total`. `shares`
/// f64`[n_layers]` and `high` u32`[n_layers]` are scratch.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)] // The calling convention has numbers only.
pub fn pyramid_exact(
    n_layers: u32,
    total: u32,
    low: u32,
    n_rows: u32,
    window: u32,
    beta: f64,
    shares: u32,
    high: u32,
    out: u32,
) {
    let n_layers = n_layers as usize;
    let pyramid = pyramid_of(n_rows, window, beta);
    // SAFETY: the caller allocated the three arrays in this length, apart from each other.
    let (shares, high, out) = unsafe {
        (slice_mut(shares, n_layers), slice_mut(high, n_layers), slice_mut(out, n_layers))
    };
    pyramid::exact(pyramid, total as usize, low as usize, shares, high, out);
}

/// Rows of one head per layer, each rounded on its own: `out` u32`[n_layers]`.
#[wasm_bindgen]
pub fn pyramid_rounded(n_layers: u32, mean: f64, n_rows: u32, window: u32, beta: f64, out: u32) {
    // SAFETY: the caller allocated the array in this length.
    let out = unsafe { slice_mut(out, n_layers as usize) };
    pyramid::rounded(pyramid_of(n_rows, window, beta), mean, out);
}

fn pyramid_of(n_rows: u32, window: u32, beta: f64) -> Pyramid {
    Pyramid { n_rows: n_rows as usize, window: window as usize, beta }
}

/// Divides `n_free` rows beyond the reserved ones among `n_heads` heads: `out` u32`[n_heads]`.
///
/// `scores` f32`[n_scores]`, head after head; `lengths`, `n_reserved` u32`[n_heads]`; `reserved`
/// u32`[sum of n_reserved]`. `is_safe` 0: mixing. `keys` u32`[n_scores]`, `shares` f64`[n_heads]` and
/// `high` u32`[n_heads]` are scratch.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)] // The calling convention has numbers only.
pub fn split(
    n_heads: u32,
    scores: u32,
    n_scores: u32,
    lengths: u32,
    reserved: u32,
    n_all_reserved: u32,
    n_reserved: u32,
    n_free: u32,
    alpha: f64,
    is_safe: u32,
    keys: u32,
    shares: u32,
    high: u32,
    out: u32,
) {
    let (n_heads, n_scores) = (n_heads as usize, n_scores as usize);
    let guarantee = if is_safe == 0 { Guarantee::Mixing } else { Guarantee::Safe };
    // SAFETY: the caller allocated the arrays in these lengths, apart from each other.
    let (heads, scratch, out) = unsafe {
        (
            Heads {
                scores: slice(scores, n_scores),
                lengths: slice(lengths, n_heads),
                reserved: slice(reserved, n_all_reserved as usize),
                n_reserved: slice(n_reserved, n_heads),
            },
            Scratch {
                keys: slice_mut(keys, n_scores),
                shares: slice_mut(shares, n_heads),
                high: slice_mut(high, n_heads),
            },
            slice_mut(out, n_heads),
        )
    };
    split::split(heads, n_free as usize, alpha, guarantee, scratch, out);
}

/// `scores` f32`[n]` to `out` f32`[n_units]`; `bounds` u32`[n_units, 2]`. `is_mean` 0: sum.
#[wasm_bindgen]
pub fn score_units(scores: u32, n: u32, bounds: u32, n_units: u32, is_mean: u32, out: u32) {
    let n_units = n_units as usize;
    let by = if is_mean == 0 { UnitScore::Sum } else { UnitScore::Mean };
    // SAFETY: the caller allocated the three arrays in these lengths, apart from each other.
    let (scores, bounds, out) =
        unsafe { (slice(scores, n as usize), slice(bounds, 2 * n_units), slice_mut(out, n_units)) };
    units::score_units(scores, bounds, by, out);
}

/// Rows of the best units and `forced` u32`[n_forced]`, to `out` u32`[max(budget, n_forced)]`, ascending;
/// returns how many. `scores` f32`[n_units]`, `bounds` u32`[n_units, 2]`; `fill` is 0 skip, 1 stop,
/// 2 exact, 3 floor. `order` u32`[n_units]` and `is_kept` u32`[n_rows]` are scratch.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)] // The calling convention has numbers only.
pub fn select_units(
    scores: u32,
    bounds: u32,
    n_units: u32,
    n_rows: u32,
    budget: u32,
    forced: u32,
    n_forced: u32,
    fill: u32,
    order: u32,
    is_kept: u32,
    out: u32,
) -> u32 {
    let n_units = n_units as usize;
    let fill = match fill {
        0 => Fill::Skip,
        1 => Fill::Stop,
        2 => Fill::Exact,
        _ => Fill::Floor,
    };
    // SAFETY: the caller allocated the arrays in these lengths, apart from each other.
    let (units, forced, order, is_kept, out) = unsafe {
        (
            Units { scores: slice(scores, n_units), bounds: slice(bounds, 2 * n_units) },
            slice(forced, n_forced as usize),
            slice_mut(order, n_units),
            slice_mut(is_kept, n_rows as usize),
            slice_mut(out, budget.max(n_forced) as usize),
        )
    };
    units::select_units(units, budget as usize, forced, fill, order, is_kept, out) as u32
}

/// Rows, first to `n_first`-th and then newest to oldest, that hold the norm of `weights` f32`[n]`.
#[wasm_bindgen]
pub fn norm_prefix(weights: u32, n: u32, n_first: u32, threshold: f64) -> u32 {
    // SAFETY: the caller allocated the array in this length.
    let weights = unsafe { slice(weights, n as usize) };
    norm_prefix::norm_prefix(weights, n_first as usize, threshold) as u32
}

/// `out` f32`[n]`: uniform in [0, 1), the same for the same `seed` and `stream`.
#[wasm_bindgen]
pub fn random_scores(seed: u32, stream: u32, n: u32, out: u32) {
    // SAFETY: the caller allocated the array in this length.
    random::random_scores(seed, stream, unsafe { slice_mut(out, n as usize) });
}

/// Adds `old_sums` f32`[n_old]` to `sums` f32`[n]` where positions are the same.
#[wasm_bindgen]
pub fn carry(old_positions: u32, old_sums: u32, n_old: u32, positions: u32, sums: u32, n: u32) {
    let (n_old, n) = (n_old as usize, n as usize);
    // SAFETY: the caller allocated the four arrays in these lengths, apart from each other.
    let (old_positions, old_sums, positions, sums) = unsafe {
        (
            slice(old_positions, n_old),
            slice(old_sums, n_old),
            slice(positions, n),
            slice_mut(sums, n),
        )
    };
    history::carry(old_positions, old_sums, positions, sums);
}

/// Divides `sums` f32`[n]` by the number of the newest `n_queries` queries that see each row.
#[wasm_bindgen]
pub fn per_query(sums: u32, positions: u32, n: u32, next_position: u32, n_queries: u32) {
    let n = n as usize;
    // SAFETY: the caller allocated both arrays in this length, apart from each other.
    let (sums, positions) = unsafe { (slice_mut(sums, n), slice(positions, n)) };
    history::per_query(sums, positions, next_position, n_queries);
}

//! Rows per layer that shrink linearly from the first layer to the last (PyramidKV).

use super::apportion::apportion;

/// What a pyramid stands on; rows are those of one head.
#[derive(Clone, Copy, Debug)]
pub struct Pyramid {
    /// Rows before compression.
    pub n_rows: usize,
    /// Rows that every layer keeps before the pyramid counts.
    pub window: usize,
    /// The last layer gets `1 / beta` of the mean.
    pub beta: f64,
}

/// The exact form: `out[n_layers]` with the sum `total`, every layer's `window` included and at
/// least `low` rows each. Uniform where the mean is not above the window.
///
/// With `base` rows beyond the window on average: `lo = base / beta`, `hi = 2 base - lo`, `hi` capped
/// at `n_rows - window` and `lo` raised in return; `hi - (hi - lo) l / (n_layers - 1)`, rounded by
/// largest remainder. `shares` and `high`, both as long as `out`, are scratch.
pub fn exact(
    pyramid: Pyramid,
    total: usize,
    low: usize,
    shares: &mut [f64],
    high: &mut [u32],
    out: &mut [u32],
) {
    let n_layers = out.len();
    let Pyramid { n_rows, window, beta } = pyramid;
    let base = total as f64 / n_layers.max(1) as f64 - window as f64;
    let avail = n_rows.saturating_sub(window) as f64;
    if base <= 0.0 {
        shares.fill(base + window as f64);
    } else {
        let (hi, lo) = slope(base, avail, beta);
        for (layer, share) in shares.iter_mut().enumerate() {
            *share = window as f64 + at(hi, lo, layer, n_layers);
        }
    }
    high.fill(n_rows as u32);
    apportion(shares, total, low.min(total / n_layers.max(1)), high, out);
}

/// kvpress's form (PyramidKVPress): from the real mean, the window inside, each layer rounded on its
/// own, halves to even, so that the sum is near but not equal to `mean * n_layers`.
/// Uniform unless `n_rows >= hi >= lo >= window`.
pub fn rounded(pyramid: Pyramid, mean: f64, out: &mut [u32]) {
    let n_layers = out.len();
    let Pyramid { n_rows, window, beta } = pyramid;
    let avail = n_rows as f64 - window as f64;
    let (hi, lo) = slope(mean, avail, beta);
    let is_pyramid = n_rows as f64 >= hi && hi >= lo && lo >= window as f64;
    for (layer, out) in out.iter_mut().enumerate() {
        let rows = if is_pyramid { at(hi, lo, layer, n_layers) } else { mean };
        *out = (rows.round_ties_even() as u32).clamp(1.min(n_rows as u32), n_rows as u32);
    }
}

/// Rows of the first and of the last layer.
fn slope(base: f64, avail: f64, beta: f64) -> (f64, f64) {
    let lo = base / beta;
    let hi = 2.0 * base - lo;
    if hi >= avail { (avail, 2.0 * base - avail) } else { (hi, lo) }
}

/// One layer alone is both ends: it gets their mean.
fn at(hi: f64, lo: f64, layer: usize, n_layers: usize) -> f64 {
    if n_layers == 1 {
        (hi + lo) / 2.0
    } else {
        hi - layer as f64 * ((hi - lo) / (n_layers - 1) as f64)
    }
}

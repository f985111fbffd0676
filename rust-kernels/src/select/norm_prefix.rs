//! How many rows hold the norm of the attention (DBudgetKV).

/// Rows needed, in the order first to `n_first`-th, then newest to oldest, until
/// `1 - sqrt(E_i / E_n) < threshold`, with `E_i` the sum of the first `i` squared `weights[n]`; all
/// where that is never so.
pub fn norm_prefix(weights: &[f32], n_first: usize, threshold: f64) -> usize {
    let n = weights.len();
    let n_first = n_first.min(n);
    let square = |&weight: &f32| f64::from(weight) * f64::from(weight);
    let ordered = || weights[..n_first].iter().chain(weights[n_first..].iter().rev());
    // The same order as below, so that all rows together are the whole exactly.
    let total: f64 = ordered().map(square).sum();
    let mut sum = 0.0;
    for (i, weight) in ordered().enumerate() {
        sum += square(weight);
        if 1.0 - (sum / total).sqrt() < threshold {
            return i + 1;
        }
    }
    n
}

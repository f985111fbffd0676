//! How unlike the others a key is (KeyDiff).
//!
//!     score[j] = -cos(k[j], anchor),  anchor = mean over j of k[j] / |k[j]|
//!
//! Source: Park et al. 2025, arXiv:2504.15364, in kvpress's one-shot form.

use super::dot;

/// Norms below this count as this: a zero key has cosine 0.
const MIN_NORM: f32 = 1e-8;

/// Scores of `keys[out.len(), head_dim]` to `out`. `anchor[head_dim]` is scratch.
pub fn key_diff(keys: &[f32], anchor: &mut [f64], out: &mut [f32]) {
    let head_dim = anchor.len();
    debug_assert_eq!(keys.len(), out.len() * head_dim);
    anchor.fill(0.0);
    for key in keys.chunks_exact(head_dim) {
        let scale = 1.0 / f64::from(norm(key));
        for (sum, &k) in anchor.iter_mut().zip(key) {
            *sum += scale * f64::from(k);
        }
    }
    // The cosine does not depend on the anchor's length.
    let length = anchor.iter().map(|x| x * x).sum::<f64>().sqrt();
    let scale = 1.0 / length.max(f64::from(MIN_NORM));
    for (out, key) in out.iter_mut().zip(keys.chunks_exact(head_dim)) {
        let along: f64 = anchor.iter().zip(key).map(|(a, &k)| a * f64::from(k)).sum();
        *out = -(along * scale / f64::from(norm(key))) as f32;
    }
}

fn norm(key: &[f32]) -> f32 {
    dot(key, key).sqrt().max(MIN_NORM)
}

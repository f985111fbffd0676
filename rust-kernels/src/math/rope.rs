//! Rotary position embedding: frequencies and the table of cosines and sines.
//!
//! Angles are products in f64, because at position 10^6 an f32 angle is off by 0.06 rad.

/// Frequencies `[rotary_dim / 2]`, radians a position:
/// `base^(-2i / rotary_dim)` rounded to f32, then divided in f32 by `scale` and by `factors[i]`.
///
/// `factors` is `[rotary_dim / 2]`, or empty for none. Rounding first is what Hugging Face does,
/// which stores `inv_freq` in f32.
pub fn rope_frequencies(out: &mut [f32], base: f64, scale: f32, factors: &[f32]) {
    debug_assert!(factors.is_empty() || factors.len() == out.len());
    let n = out.len() as f64;
    for (i, out) in out.iter_mut().enumerate() {
        *out = base.powf(-(i as f64) / n) as f32 / scale;
    }
    for (out, factor) in out.iter_mut().zip(factors) {
        *out /= factor;
    }
}

/// Table `[n_tokens, rotary_dim]` for consecutive positions: the cosine of pair i at 2i, its sine
/// at 2i + 1. `frequencies` is `[rotary_dim / 2]`. Every entry depends on its position alone.
pub fn rope_table(out: &mut [f32], frequencies: &[f32], first_position: u32) {
    debug_assert_eq!(out.len() % (2 * frequencies.len()), 0);
    for (token, row) in out.chunks_exact_mut(2 * frequencies.len()).enumerate() {
        let position = f64::from(first_position) + token as f64;
        for (pair, &frequency) in row.as_chunks_mut::<2>().0.iter_mut().zip(frequencies) {
            let angle = position * f64::from(frequency);
            *pair = [angle.cos() as f32, angle.sin() as f32];
        }
    }
}

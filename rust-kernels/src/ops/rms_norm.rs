//! out = x / sqrt(mean(x^2) + eps) * weight, per token. The squares are added in four f64 lanes,
//! lane i taking elements 4n + i, then (0 + 2) + (1 + 3).

/// Rows of `x` f32[n, size] to `out`, `weight` f32[size].
pub fn rms_norm(out: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let size = weight.len();
    for (out, x) in out.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
        let factor = inverse_rms(x, eps);
        for ((out, &x), &w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * factor * w;
        }
    }
}

/// Rows of `x` in place.
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], eps: f32) {
    for x in x.chunks_exact_mut(weight.len()) {
        let factor = inverse_rms(x, eps);
        for (x, &w) in x.iter_mut().zip(weight) {
            *x = *x * factor * w;
        }
    }
}

fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    let mut lanes = [0f64; 4];
    let (fours, rest) = x.as_chunks::<4>();
    for four in fours {
        for (lane, &x) in lanes.iter_mut().zip(four) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(x) * f64::from(x);
    }
    let sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    (1.0 / (sum / x.len() as f64 + f64::from(eps)).sqrt()) as f32
}

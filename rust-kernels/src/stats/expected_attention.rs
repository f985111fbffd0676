//! Attention that future queries are expected to pay to each key, if queries before rotation are
//! normally distributed (Expected Attention).
//!
//!     logit[j] = s m.k[j] + s^2/2 k[j].S k[j],   m = R mean,  S = R covariance R^T
//!     score[j] = mean over the query heads of softmax over j of logit
//!
//! R is the mean of the rotations of the positions to come, s the model's attention scale.
//!
//! Source: Devoto et al. 2025, arXiv:2510.00636. Deviation: the mean rotation is a geometric sum in
//! closed form instead of an average over tables; the two agree within 1e-10.

use super::dot;
use crate::lanes::F32x4;
use crate::sample::softmax::softmax;

/// Which channels rotate together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopePairs {
    /// Channels 2i and 2i + 1.
    Interleaved,
    /// Channels i and i + head_dim / 2.
    Half,
}

/// The positions that queries are expected at.
#[derive(Clone, Copy, Debug)]
pub struct Future {
    /// Position of the first.
    pub first: u32,
    /// How many, at least 1.
    pub count: u32,
}

/// Mean over `future` of `exp(i frequency position)`: real and imaginary part.
///
///     exp(i f (first + (n - 1) / 2)) * sin(n f / 2) / (n sin(f / 2))
pub fn mean_rotation(frequency: f64, future: Future) -> (f64, f64) {
    let n = f64::from(future.count);
    let half = frequency / 2.0;
    // Where the angle between positions is a multiple of 2 pi, all rotations are the same.
    let shrink = if half.sin().abs() < 1e-12 {
        (half * (n - 1.0)).cos()
    } else {
        (n * half).sin() / (n * half.sin())
    };
    let angle = frequency * (f64::from(future.first) + (n - 1.0) / 2.0);
    (shrink * angle.cos(), shrink * angle.sin())
}

/// `mean[head_dim]` and, if it is not empty, `covariance[head_dim, head_dim]` to those of rotated
/// queries, in place. `frequencies` is `[head_dim / 2]`, radians a position.
pub fn rotate_statistics(
    mean: &mut [f32],
    covariance: &mut [f32],
    frequencies: &[f32],
    pairs: RopePairs,
    future: Future,
) {
    let head_dim = mean.len();
    debug_assert_eq!(2 * frequencies.len(), head_dim);
    for (pair, &frequency) in frequencies.iter().enumerate() {
        let (a, b) = match pairs {
            RopePairs::Interleaved => (2 * pair, 2 * pair + 1),
            RopePairs::Half => (pair, pair + head_dim / 2),
        };
        let (re, im) = mean_rotation(f64::from(frequency), future);
        let turn = |x: f32, y: f32| {
            let (x, y) = (f64::from(x), f64::from(y));
            ((re * x - im * y) as f32, (im * x + re * y) as f32)
        };
        (mean[a], mean[b]) = turn(mean[a], mean[b]);
        for row in covariance.chunks_exact_mut(head_dim) {
            (row[a], row[b]) = turn(row[a], row[b]);
        }
        // Columns and rows of different pairs do not meet, so one pass does both.
        if covariance.is_empty() {
            continue;
        }
        for c in 0..head_dim {
            let (at, bt) = (a * head_dim + c, b * head_dim + c);
            (covariance[at], covariance[bt]) = turn(covariance[at], covariance[bt]);
        }
    }
}

/// What a kv head's query heads look for, already rotated.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// `[n_groups, head_dim]`.
    pub mean: &'a [f32],
    /// `[n_groups, head_dim, head_dim]` after [`fold`]; empty: covariances count as 0.
    pub covariance: &'a [f32],
    /// Of the attention's logits.
    pub scale: f32,
}

/// Scores of `keys[out.len(), head_dim]` to `out`. `logits[out.len()]` is scratch.
pub fn expected_attention(
    keys: &[f32],
    head_dim: usize,
    queries: Queries,
    logits: &mut [f32],
    out: &mut [f32],
) {
    let n_groups = queries.mean.len() / head_dim;
    debug_assert_eq!(keys.len(), out.len() * head_dim);
    out.fill(0.0);
    for group in 0..n_groups {
        let mean = &queries.mean[group * head_dim..][..head_dim];
        for (logit, key) in logits.iter_mut().zip(keys.chunks_exact(head_dim)) {
            *logit = queries.scale * dot(mean, key);
        }
        if !queries.covariance.is_empty() {
            let size = head_dim * head_dim;
            let folded = &queries.covariance[group * size..][..size];
            add_quadratic(keys, folded, queries.scale * queries.scale / 2.0, logits);
        }
        softmax(logits);
        for (out, &weight) in out.iter_mut().zip(&*logits) {
            *out += weight;
        }
    }
    for out in out {
        *out /= n_groups as f32;
    }
}

/// Makes a symmetric `matrix[n, n]` one with the same quadratic form and nothing below the
/// diagonal: half the products.
pub fn fold(matrix: &mut [f32], n: usize) {
    for row in 0..n {
        for column in 0..row {
            matrix[column * n + row] += matrix[row * n + column];
            matrix[row * n + column] = 0.0;
        }
    }
}

/// Keys that share each load of the matrix.
const N_TOGETHER: usize = 4;

/// `logits[j] += factor * k[j].M k[j]`; `matrix` is `[head_dim, head_dim]` with nothing below the
/// diagonal, `head_dim` a multiple of 4.
fn add_quadratic(keys: &[f32], matrix: &[f32], factor: f32, logits: &mut [f32]) {
    let head_dim = keys.len() / logits.len().max(1);
    let (fours, rest) = logits.as_chunks_mut::<N_TOGETHER>();
    let (of_fours, of_rest) = keys.split_at(fours.len() * N_TOGETHER * head_dim);
    for (logits, keys) in fours.iter_mut().zip(of_fours.chunks_exact(N_TOGETHER * head_dim)) {
        let forms = quadratic_forms::<N_TOGETHER>(keys, matrix, head_dim);
        for (logit, form) in logits.iter_mut().zip(forms) {
            *logit += factor * form;
        }
    }
    for (logit, key) in rest.iter_mut().zip(of_rest.chunks_exact(head_dim)) {
        *logit += factor * quadratic_forms::<1>(key, matrix, head_dim)[0];
    }
}

#[inline(always)]
fn quadratic_forms<const N: usize>(keys: &[f32], matrix: &[f32], head_dim: usize) -> [f32; N] {
    let mut forms = [F32x4::splat(0.0); N];
    for (i, row) in matrix.chunks_exact(head_dim).enumerate() {
        let mut products = [F32x4::splat(0.0); N];
        for at in (i / 4 * 4..head_dim).step_by(4) {
            let weights = F32x4::load(row, at);
            for (k, product) in products.iter_mut().enumerate() {
                *product = weights.mul_add(F32x4::load(keys, k * head_dim + at), *product);
            }
        }
        for (k, form) in forms.iter_mut().enumerate() {
            *form = products[k].mul_add(F32x4::splat(keys[k * head_dim + i]), *form);
        }
    }
    forms.map(F32x4::sum)
}

//! What keys, values and queries say about a row, without any attention weight.
//!
//! Rows are `[n_rows, head_dim]` of one kv head. Sums over channels take four f32 lanes from first
//! to last and what is left over one by one; sums over rows are in f64.

pub mod expected_attention;
pub mod key_diff;
pub mod lag;
pub mod row_norm;
pub mod weigh;

use crate::lanes::F32x4;

/// Sum of `a[i] * b[i]`.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    let whole = a.len() / 4 * 4;
    let mut sum = F32x4::splat(0.0);
    for i in (0..whole).step_by(4) {
        sum = F32x4::load(a, i).mul_add(F32x4::load(b, i), sum);
    }
    let rest = a[whole..].iter().zip(&b[whole..]);
    rest.fold(sum.sum(), |sum, (a, b)| sum + a * b)
}

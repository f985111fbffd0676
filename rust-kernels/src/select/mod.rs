//! Who stays: reductions over heads, pooling over neighbours, budgets of layers and heads, exact
//! selection of rows and of units with the tie rule.

pub mod apportion;
pub mod group;
pub mod history;
pub mod norm_prefix;
pub mod pool;
pub mod pyramid;
pub mod random;
pub mod split;
pub mod top_k;
pub mod units;

/// A key that orders f32 as selection does: descending keys are descending scores, -0 equals +0,
/// and every NaN is 0, below -infinity.
#[inline(always)]
pub(crate) fn order_key(score: f32) -> u32 {
    // Adding +0 turns -0 into +0 and leaves every other number as it is.
    let bits = (score + 0.0).to_bits();
    let key = bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000);
    if score.is_nan() { 0 } else { key }
}

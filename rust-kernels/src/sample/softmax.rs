//! Softmax and log-sum-exp of one row.
//!
//! Order of the sum: four f32 lanes within a block of 64, lanes added as (0 + 2) + (1 + 3), then
//! the blocks in f64 from first to last.

use super::arg_max::max;
use crate::lanes::F32x4;
use crate::math::exp::{exp, exp4};

const BLOCK: usize = 64;

/// `x[n]` in place to `exp(x - max) / sum`. All -infinity gives zeros; a NaN or +infinity makes
/// all NaN.
pub fn softmax(x: &mut [f32]) {
    let max = finite_max(x);
    let (blocks, tail) = x.as_chunks_mut::<BLOCK>();
    let mut sum = 0.0;
    for block in blocks {
        *block = exp_block(block, max);
        sum += sum_block(block);
    }
    for x in tail {
        *x = exp(*x - max);
        sum += f64::from(*x);
    }
    let scale = if sum == 0.0 { 0.0 } else { (1.0 / sum) as f32 };
    for x in x {
        *x *= scale;
    }
}

/// ln of the sum of e^x over `x[n]`; -infinity when there is nothing to add.
pub fn log_sum_exp(x: &[f32]) -> f64 {
    let max = finite_max(x);
    let (blocks, tail) = x.as_chunks::<BLOCK>();
    let mut sum: f64 = blocks.iter().map(|block| sum_block(&exp_block(block, max))).sum();
    for x in tail {
        sum += f64::from(exp(x - max));
    }
    f64::from(max) + sum.ln()
}

/// The largest of `x`, 0 in place of -infinity, whose difference with itself is NaN.
fn finite_max(x: &[f32]) -> f32 {
    let max = max(x);
    if max == f32::NEG_INFINITY { 0.0 } else { max }
}

#[inline(always)]
fn exp_block(block: &[f32; BLOCK], max: f32) -> [f32; BLOCK] {
    let mut out = [0.0; BLOCK];
    for i in (0..BLOCK).step_by(4) {
        exp4(F32x4::load(block, i).sub(F32x4::splat(max))).store(&mut out, i);
    }
    out
}

#[inline(always)]
fn sum_block(block: &[f32; BLOCK]) -> f64 {
    let mut sum = F32x4::splat(0.0);
    for i in (0..BLOCK).step_by(4) {
        sum = sum.add(F32x4::load(block, i));
    }
    f64::from(sum.sum())
}

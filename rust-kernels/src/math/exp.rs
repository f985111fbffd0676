//! exp in f32, four lanes at a time, without branches.
//!
//!     n = round(x / ln 2),  r = x - n ln 2,  e^x = 2^n e^r,  |r| <= ln 2 / 2
//!
//! The error is below one unit in the last place (0.98 at worst over every 97th f32 of the range,
//! tests/math.rs asserts it). Below -86.99 the result is 0: no subnormals.
//!
//! Source of the polynomial and of the two parts of ln 2: Cephes `expf`.

use crate::lanes::{F32x4, I32x4};

/// Adding 1.5 * 2^23 rounds to an integer, which then lies in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0;
/// The first part of ln 2 has 9 bits after the point, so its product with n is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Coefficients of r^7 down to r^2.
const POLYNOMIAL: [f32; 6] =
    [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// e^x for each lane: infinity above 88.73, 0 below -86.99, NaN for NaN.
#[inline(always)]
pub fn exp4(x: F32x4) -> F32x4 {
    // The bounds give n = -126 and n = 128, whose scales below yield 0 and infinity.
    let x = x.max(F32x4::splat(-87.5)).min(F32x4::splat(89.0));
    let shifted = x.mul_add(F32x4::splat(core::f32::consts::LOG2_E), F32x4::splat(ROUNDER));
    let n = shifted.sub(F32x4::splat(ROUNDER));
    let r = x.sub(n.mul(F32x4::splat(LN_2_HIGH))).sub(n.mul(F32x4::splat(LN_2_LOW)));
    let mut p = F32x4::splat(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        p = p.mul_add(r, F32x4::splat(*coefficient));
    }
    let p = p.mul(r).mul(r).add(r).add(F32x4::splat(1.0));
    // 2^(n-1) and twice e^r, as 2^128 is no f32 while e^88.7 is one.
    let bias = I32x4::splat(126i32.wrapping_sub(ROUNDER.to_bits() as i32));
    p.add(p).mul(shifted.bits().add(bias).shl(23).as_f32_bits())
}

/// e^x, the same bits as a lane of [`exp4`].
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    exp4(F32x4::splat(x)).lanes()[0]
}

//! exp in f32, four lanes at a time, without branches.
//!
//!     n = round(x / ln 2),  r = x - n ln 2,  e^x = 2^n e^r,  |r| <= ln 2 / 2
//!
//! The error is below one unit in the last place (0.98 at worst over every 97th f32 of the range,
//! tests/math.rs asserts it). Below -86.99 the result is 0: no subnormals.
//!
//! Source of the polynomial and of the two parts of ln 2: Cephes `expf`.

use crate::lanes::F32x4;

/// Adding 1.5 * 2^23 rounds to an integer, which then lies in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0;
/// The first part of ln 2 has 9 bits after the point, so its product with n is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Coefficients of r^7 down to r^2.
const POLYNOMIAL: [f32; 6] =
    [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
/// What makes n - 1 + 127 of the rounded sum's bits.
const BIAS: u32 = 126u32.wrapping_sub(ROUNDER.to_bits());

/// The bounds give n = -126 and n = 128, whose scales yield 0 and infinity.
static CONSTANTS: [[f32; 4]; 14] = [
    [-87.5; 4],
    [89.0; 4],
    [core::f32::consts::LOG2_E; 4],
    [ROUNDER; 4],
    [LN_2_HIGH; 4],
    [LN_2_LOW; 4],
    [POLYNOMIAL[0]; 4],
    [POLYNOMIAL[1]; 4],
    [POLYNOMIAL[2]; 4],
    [POLYNOMIAL[3]; 4],
    [POLYNOMIAL[4]; 4],
    [POLYNOMIAL[5]; 4],
    [1.0; 4],
    [f32::from_bits(BIAS); 4],
];

/// The function, with its constants loaded: made once per loop. What the compiler knows to be a
/// constant, V8 would make anew at each use, by three instructions.
#[derive(Clone, Copy)]
pub struct Exp([F32x4; 14]);

impl Exp {
    /// Loads the constants.
    #[inline(always)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(core::hint::black_box(&CONSTANTS).map(|four| F32x4::load(&four, 0)))
    }

    /// e^x for each lane: infinity above 88.73, 0 below -86.99, NaN for NaN.
    #[inline(always)]
    pub fn of(&self, x: F32x4) -> F32x4 {
        let [low, high, log_2_e, rounder, ln_2_high, ln_2_low, polynomial @ .., one, bias] = self.0;
        let x = x.max(low).min(high);
        let shifted = x.mul_add(log_2_e, rounder);
        let n = shifted.sub(rounder);
        let r = x.sub(n.mul(ln_2_high)).sub(n.mul(ln_2_low));
        let mut p = polynomial[0];
        for coefficient in &polynomial[1..] {
            p = p.mul_add(r, *coefficient);
        }
        let p = p.mul(r).mul(r).add(r).add(one);
        // 2^(n-1) and twice e^r, as 2^128 is no f32 while e^88.7 is one.
        p.add(p).mul(shifted.bits().add(bias.bits()).shl(23).as_f32_bits())
    }
}

/// e^x for each lane, as [`Exp`].
#[inline(always)]
pub fn exp4(x: F32x4) -> F32x4 {
    Exp::new().of(x)
}

/// e^x, the same bits as a lane of [`exp4`].
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    exp4(F32x4::splat(x)).lanes()[0]
}

//! Cache rows as the kernels see them: cells of a codec, one head after the other.
use crate::lanes::F32x4;
use crate::quant::f16::{f16_to_f32, f32_to_f16};

/// How one element of a row is stored.
pub trait Cell: Copy + Default {
    /// Four cells at `at`.
    fn load4(cells: &[Self], at: usize) -> F32x4;
    /// One cell.
    fn to_f32(self) -> f32;
    /// Rounded to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
}

impl Cell for f32 {
    #[inline(always)]
    fn load4(cells: &[f32], at: usize) -> F32x4 {
        F32x4::load(cells, at)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
}

/// f16 bits.
impl Cell for u16 {
    #[inline(always)]
    fn load4(cells: &[u16], at: usize) -> F32x4 {
        F32x4::load_f16(cells, at)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16_to_f32(self)
    }
    #[inline(always)]
    fn from_f32(x: f32) -> u16 {
        // The lanes read finite numbers only: what f16 cannot hold becomes its largest.
        f32_to_f16(x.clamp(-65504.0, 65504.0))
    }
}

/// The rows of one head.
pub struct HeadRows<'a, C> {
    /// [length, head_dim].
    pub keys: &'a [C],
    /// [length, head_dim].
    pub values: &'a [C],
    /// u32[length], ascending.
    pub positions: &'a [u32],
}

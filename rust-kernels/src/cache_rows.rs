//! Cache rows as the kernels see them: how one row is stored, one row after the other.
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

/// Most channels of a row.
pub const MAX_HEAD_DIM: usize = 512;

/// How a row is stored, in units of which rows are made.
pub trait Codec {
    /// What a row is a list of.
    type Unit: Copy;
    /// Units of a row of `d` channels.
    fn row_len(d: usize) -> usize;
    /// Row to f32[d].
    fn decode(out: &mut [f32], row: &[Self::Unit]);
    /// f32[d] to row.
    fn encode(row: &mut [Self::Unit], x: &[f32]);
}

/// A cell per channel: codec 0 with f32, 1 with f16.
pub struct Cells<C>(core::marker::PhantomData<C>);

impl<C: Cell> Codec for Cells<C> {
    type Unit = C;
    fn row_len(d: usize) -> usize {
        d
    }
    fn decode(out: &mut [f32], row: &[C]) {
        out.iter_mut().zip(row).for_each(|(out, cell)| *out = cell.to_f32());
    }
    fn encode(row: &mut [C], x: &[f32]) {
        row.iter_mut().zip(x).for_each(|(cell, &x)| *cell = C::from_f32(x));
    }
}

/// Codec 2: i8[d], then the row's scale as f32; x = code * scale, scale = max|x| / 127.
pub struct Q8;

/// Bytes of a row's scale.
const SCALE_BYTES: usize = 4;

impl Q8 {
    /// Codes and scale of row `row`.
    #[inline(always)]
    pub fn row(rows: &[u8], d: usize, row: usize) -> (&[u8], f32) {
        let (codes, scale) = rows[row * Self::row_len(d)..][..Self::row_len(d)].split_at(d);
        (codes, f32::from_le_bytes([scale[0], scale[1], scale[2], scale[3]]))
    }
}

impl Codec for Q8 {
    type Unit = u8;
    fn row_len(d: usize) -> usize {
        d + SCALE_BYTES
    }
    fn decode(out: &mut [f32], row: &[u8]) {
        let (codes, scale) = Self::row(row, out.len(), 0);
        out.iter_mut().zip(codes).for_each(|(out, &code)| *out = f32::from(code as i8) * scale);
    }
    fn encode(row: &mut [u8], x: &[f32]) {
        let (codes, scale) = row.split_at_mut(x.len());
        let largest = x.iter().fold(0f32, |max, x| max.max(x.abs())).min(f32::MAX);
        let is_zero = largest < SMALLEST;
        let factor = if is_zero { 0.0 } else { 127.0 / largest };
        for (code, &x) in codes.iter_mut().zip(x) {
            *code = (x.clamp(-largest, largest) * factor).round_ties_even() as i8 as u8;
        }
        scale.copy_from_slice(&(if is_zero { 0.0 } else { largest / 127.0 }).to_le_bytes());
    }
}

/// A row whose largest is below it is a row of zeros: its scale would have no bits left.
const SMALLEST: f32 = 1e-35;

/// The rows of one head.
pub struct HeadRows<'a, C: Codec> {
    /// `length` rows.
    pub keys: &'a [C::Unit],
    /// `length` rows.
    pub values: &'a [C::Unit],
    /// u32[length], ascending.
    pub positions: &'a [u32],
}

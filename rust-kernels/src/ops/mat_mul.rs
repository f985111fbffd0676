//! out[t, r] = sum over blocks b of scale[r, b] x_scale[t, b] dot[r, t, b] (+ min[r, b] x_sum[t, b])
//!
//! with integer dots over packed panels (quant/packed.rs, ops/quantize.rs, ops/block_dot.rs). Each
//! output adds its blocks in order in f32, whatever the tile or the range of rows: the same bits
//! for any number of tokens and threads, and in every build.
use super::block_dot::{Bytes, Codes, Fast, Lookup, Nibbles};
use super::quantize::Quantized;
use super::{mat_mul_tiles, mat_vec};
use crate::lanes::F32x4;
use crate::quant::packed::{BLOCK, GROUP_ROWS, Packing};
use core::ops::Range;

/// Where results go: f32[n_tokens, stride], from column `column`.
pub struct Output<'a> {
    /// The whole buffer.
    pub out: &'a mut [f32],
    /// Columns from one token to the next.
    pub stride: usize,
    /// First column of this matrix.
    pub column: usize,
}

/// What follows the codes: constant offset, minimum, or a scale per 16.
pub(super) trait Scales {
    /// Scales of a block and row.
    const PARTS: usize = 1;
    const HAS_MIN: bool = false;
    /// 2 to it is subtracted from each code; 0: nothing is.
    const SHIFT: u32 = 0;
    /// Bytes of scales and minima of a block, four rows.
    const BYTES: usize = 8 * Self::PARTS + if Self::HAS_MIN { 8 } else { 0 };
}

struct Offset<const SHIFT: u32>;
struct Minimum;
struct Halves;
impl<const SHIFT: u32> Scales for Offset<SHIFT> {
    const SHIFT: u32 = SHIFT;
}
impl Scales for Minimum {
    const HAS_MIN: bool = true;
}
impl Scales for Halves {
    const PARTS: usize = 2;
    const SHIFT: u32 = 5;
}

/// Sizes of a product.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Output features.
    pub n_rows: usize,
    /// Input features.
    pub n_cols: usize,
    /// Tokens.
    pub n_tokens: usize,
}

/// What is multiplied.
pub(super) struct Product<'a> {
    pub x: &'a Quantized<'a>,
    /// All panels.
    pub weight: &'a [u8],
    pub group_bytes: usize,
    pub shape: Shape,
}

impl Product<'_> {
    /// The groups that hold `rows`, with each one's first row.
    pub(super) fn groups(&self, rows: &Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        let (first, last) = (rows.start / GROUP_ROWS, rows.end.div_ceil(GROUP_ROWS));
        let groups = &self.weight[first * self.group_bytes..last * self.group_bytes];
        let groups = groups.chunks_exact(self.group_bytes).enumerate();
        groups.map(move |(i, group)| (GROUP_ROWS * (first + i), group))
    }
}

/// Multiplies rows `rows` (begin a multiple of 8) of a packed matrix of `n_rows` with `n_tokens`
/// quantised tokens, in the form that `block_dot::is_narrow` names. `weight` holds all panels.
pub fn mat_mul(
    output: &mut Output<'_>,
    x: &Quantized<'_>,
    weight: &[u8],
    packing: Packing,
    shape: Shape,
    rows: Range<usize>,
) {
    match (packing.code_bytes, packing.per_16, packing.has_min) {
        (128, ..) => run::<Bytes, Offset<0>>(output, x, weight, packing, shape, rows),
        (96, true, _) => run::<Nibbles<Fast, 2>, Halves>(output, x, weight, packing, shape, rows),
        (80, _, true) => run::<Nibbles<Fast, 1>, Minimum>(output, x, weight, packing, shape, rows),
        (80, _, false) => {
            run::<Nibbles<Fast, 1>, Offset<4>>(output, x, weight, packing, shape, rows)
        }
        (_, _, true) => run::<Nibbles<Fast, 0>, Minimum>(output, x, weight, packing, shape, rows),
        _ if packing.is_lookup => run::<Lookup, Offset<0>>(output, x, weight, packing, shape, rows),
        _ => run::<Nibbles<Fast, 0>, Offset<3>>(output, x, weight, packing, shape, rows),
    }
}

fn run<C: Codes, S: Scales>(
    output: &mut Output<'_>,
    x: &Quantized<'_>,
    weight: &[u8],
    packing: Packing,
    shape: Shape,
    rows: Range<usize>,
) {
    let product =
        Product { x, weight, group_bytes: packing.group_bytes(shape.n_cols / BLOCK), shape };
    mat_mul_tiles::run::<C, S>(output, &product, rows.clone());
    mat_vec::run::<C, S>(output, &product, rows);
}

impl Output<'_> {
    /// Four rows of each of four tokens; zeros where there are none.
    #[inline(always)]
    pub(super) fn load(&self, token: usize, row: usize, shape: Shape) -> [F32x4; 4] {
        let mut four = [F32x4::splat(0.0); 4];
        for (t, rows) in four.iter_mut().enumerate().take(shape.n_tokens.saturating_sub(token)) {
            let at = (token + t) * self.stride + self.column + row;
            if row + 4 <= shape.n_rows {
                *rows = F32x4::load(self.out, at);
            } else {
                let mut cells = [0f32; 4];
                let n = shape.n_rows - row;
                cells[..n].copy_from_slice(&self.out[at..at + n]);
                *rows = F32x4::new(cells);
            }
        }
        four
    }

    /// Four rows of each of `N` tokens, those that there are.
    #[inline(always)]
    pub(super) fn store<const N: usize>(
        &mut self,
        sums: [F32x4; N],
        token: usize,
        row: usize,
        shape: Shape,
    ) {
        for (t, sum) in sums.into_iter().enumerate().take(shape.n_tokens.saturating_sub(token)) {
            let at = (token + t) * self.stride + self.column + row;
            if row >= shape.n_rows {
                return; // a group's padding
            }
            if row + 4 <= shape.n_rows {
                sum.store(self.out, at);
            } else {
                let n = shape.n_rows - row;
                self.out[at..at + n].copy_from_slice(&sum.lanes()[..n]);
            }
        }
    }
}

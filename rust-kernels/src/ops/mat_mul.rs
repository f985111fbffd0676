//! out[t, r] = sum over blocks b of scale[r, b] x_scale[t, b] dot[r, t, b] (+ min[r, b] x_sum[t, b])
//!
//! with integer dots over packed panels (quant/packed.rs, ops/quantize.rs, ops/block_dot.rs). Each
//! output adds its blocks in order in f32, whatever the tile or the range of rows: the same bits
//! for any number of tokens and threads, and in every build.
use super::block_dot::{BlockDot, Bytes, Fast, Lookup, Nibbles};
use super::quantize::{Quantized, TILE};
use crate::lanes::{F32x4, I32x4};
use crate::quant::packed::{BLOCK, GROUP_ROWS, Packing};

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
trait Scales {
    const PER_16: bool = false;
    const HAS_MIN: bool = false;
    /// 2 to it is subtracted from each code; 0: nothing is.
    const SHIFT: u32 = 0;
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
    const PER_16: bool = true;
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

/// Multiplies rows `rows` (begin a multiple of 8) of a packed matrix of `n_rows` with `n_tokens`
/// quantised tokens, in the form that `block_dot::is_narrow` names. `weight` holds all panels.
pub fn mat_mul(
    output: &mut Output<'_>,
    x: &Quantized<'_>,
    weight: &[u8],
    packing: Packing,
    shape: Shape,
    rows: core::ops::Range<usize>,
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

fn run<D: BlockDot, S: Scales>(
    output: &mut Output<'_>,
    x: &Quantized<'_>,
    weight: &[u8],
    packing: Packing,
    shape: Shape,
    rows: core::ops::Range<usize>,
) {
    let n_blocks = shape.n_cols / BLOCK;
    let group_bytes = packing.group_bytes(n_blocks);
    let n_tiled = shape.n_tokens - shape.n_tokens % TILE;
    let (first, last) = (rows.start / GROUP_ROWS, rows.end.div_ceil(GROUP_ROWS));
    let groups = &weight[first * group_bytes..last * group_bytes];
    for (i, group) in groups.chunks_exact(group_bytes).enumerate() {
        let row = GROUP_ROWS * (first + i);
        // Both panels share the loads of a single token's codes; a tile has no registers for that.
        for token in (0..n_tiled).step_by(TILE) {
            for panel in 0..2 {
                let sums = tile::<D, S, TILE, 1>(group, panel, x, token, n_blocks);
                output.store(sums[0], token, row + 4 * panel, shape.n_rows);
            }
        }
        for token in n_tiled..shape.n_tokens {
            let sums = tile::<D, S, 1, 2>(group, 0, x, token, n_blocks);
            output.store(sums[0], token, row, shape.n_rows);
            output.store(sums[1], token, row + 4, shape.n_rows);
        }
    }
}

#[inline(always)]
fn tile<D: BlockDot, S: Scales, const TOKENS: usize, const PANELS: usize>(
    group: &[u8],
    panel: usize,
    x: &Quantized<'_>,
    token: usize,
    n_blocks: usize,
) -> [[F32x4; TOKENS]; PANELS] {
    let width = TOKENS * D::CODE_BYTES;
    let codes = &x.codes[token * n_blocks * D::CODE_BYTES..][..n_blocks * width];
    let scales = &x.scales[2 * token * n_blocks..][..2 * n_blocks * TOKENS];
    let sums = &x.sums[2 * token * n_blocks..][..2 * n_blocks * TOKENS];
    let mins_at = D::BLOCK_BYTES + if S::PER_16 { 16 } else { 8 };
    let block_bytes = mins_at + if S::HAS_MIN { 8 } else { 0 };
    let mut total = [[F32x4::splat(0.0); TOKENS]; PANELS];
    let blocks = codes
        .chunks_exact(width)
        .zip(scales.chunks_exact(2 * TOKENS))
        .zip(sums.chunks_exact(2 * TOKENS))
        .zip(group.chunks_exact(2 * block_bytes));
    for (((codes, scales), sums), pair) in blocks {
        for p in 0..PANELS {
            let block = &pair[(panel + p) * block_bytes..][..block_bytes];
            if S::PER_16 {
                let dots = D::dots::<TOKENS, true>(block, codes);
                for (half, dots) in dots.into_iter().enumerate() {
                    let scale = F32x4::load_f16_bytes(block, D::BLOCK_BYTES + 8 * half);
                    for t in 0..TOKENS {
                        let sum = match half {
                            0 => sums[2 * t] - sums[2 * t + 1],
                            _ => sums[2 * t + 1],
                        };
                        let dot = dots[t].sub(I32x4::splat(sum).shl(S::SHIFT)).to_f32();
                        let scale = scale.mul(F32x4::splat(scales[2 * t]));
                        total[p][t] = scale.mul_add(dot, total[p][t]);
                    }
                }
                continue;
            }
            let [dots, _] = D::dots::<TOKENS, false>(block, codes);
            let scale = F32x4::load_f16_bytes(block, D::BLOCK_BYTES);
            for t in 0..TOKENS {
                let dot = if S::SHIFT == 0 {
                    dots[t]
                } else {
                    dots[t].sub(I32x4::splat(sums[2 * t]).shl(S::SHIFT))
                };
                let scale = scale.mul(F32x4::splat(scales[2 * t]));
                total[p][t] = scale.mul_add(dot.to_f32(), total[p][t]);
            }
            if S::HAS_MIN {
                let min = F32x4::load_f16_bytes(block, mins_at);
                for t in 0..TOKENS {
                    total[p][t] = min.mul_add(F32x4::splat(scales[2 * t + 1]), total[p][t]);
                }
            }
        }
    }
    total
}

impl Output<'_> {
    /// Four rows of `N` tokens.
    #[inline(always)]
    pub(super) fn store<const N: usize>(
        &mut self,
        sums: [F32x4; N],
        token: usize,
        row: usize,
        n_rows: usize,
    ) {
        for (t, sum) in sums.into_iter().enumerate() {
            let at = (token + t) * self.stride + self.column + row;
            if row >= n_rows {
                return; // a group's padding
            }
            if row + 4 <= n_rows {
                sum.store(self.out, at);
            } else {
                let n = n_rows - row;
                self.out[at..at + n].copy_from_slice(&sum.lanes()[..n]);
            }
        }
    }
}

//! out[t, r] = sum over blocks b of scale[r, b] x_scale[t, b] dot[r, t, b] (+ min[r, b] x_sum[t, b])
//!
//! with integer dots over packed panels (quant/packed.rs, ops/quantize.rs). Each output adds its
//! blocks in order in f32, whatever the tile or the range of rows: the same bits for any number of
//! tokens and threads.
use super::quantize::{Quantized, TILE};
use crate::lanes::{F32x4, I16x8, I32x4};
use crate::quant::packed::{BLOCK, IQ4_NL_VALUES, Packing};

/// Where results go: f32[n_tokens, stride], from column `column`.
pub struct Output<'a> {
    /// The whole buffer.
    pub out: &'a mut [f32],
    /// Columns from one token to the next.
    pub stride: usize,
    /// First column of this matrix.
    pub column: usize,
}

/// The operands (j, 0..4) of a block.
trait Codes {
    const BYTES: usize;
    fn operands(block: &[u8], j: usize) -> [I16x8; 4];
}

struct Nibbles<const PLANES: usize>;
struct Bytes;
struct Lookup;

impl<const PLANES: usize> Codes for Nibbles<PLANES> {
    const BYTES: usize = 64 + 16 * PLANES;
    #[inline(always)]
    fn operands(block: &[u8], j: usize) -> [I16x8; 4] {
        let v = I16x8::load(block, 16 * j);
        let low = I16x8::splat(15);
        let mut e = [v.and(low), v.shr_u(4).and(low), v.shr_u(8).and(low), v.shr_u(12)];
        for plane in 0..PLANES {
            let bits = I16x8::load(block, 64 + 16 * plane);
            let (target, mask) = (4 + plane as u32, I16x8::splat(16 << plane));
            for (i, e) in e.iter_mut().enumerate() {
                let from = (4 * j + i) as u32;
                let moved =
                    if from >= target { bits.shr_u(from - target) } else { bits.shl(target - from) };
                *e = e.or(moved.and(mask));
            }
        }
        e
    }
}

#[inline(always)]
fn even(v: I16x8) -> I16x8 {
    v.shl(8).shr_s(8)
}

impl Codes for Bytes {
    const BYTES: usize = 128;
    #[inline(always)]
    fn operands(block: &[u8], j: usize) -> [I16x8; 4] {
        let (a, b) = (I16x8::load(block, 16 * j), I16x8::load(block, 16 * j + 64));
        [even(a), even(b), a.shr_s(8), b.shr_s(8)]
    }
}

impl Codes for Lookup {
    const BYTES: usize = 64;
    #[inline(always)]
    fn operands(block: &[u8], j: usize) -> [I16x8; 4] {
        let v = I16x8::load(block, 16 * j);
        let low = I16x8::splat(0x0f0f);
        let a = v.and(low).lookup(&IQ4_NL_VALUES);
        let b = v.shr_u(4).and(low).lookup(&IQ4_NL_VALUES);
        [even(a), even(b), a.shr_s(8), b.shr_s(8)]
    }
}

/// What follows the codes: constant offset, minimum, or a scale per 16.
trait Scales {
    const PER_16: bool = false;
    const HAS_MIN: bool = false;
}

struct Offset;
struct Minimum;
struct Halves;
impl Scales for Offset {}
impl Scales for Minimum {
    const HAS_MIN: bool = true;
}
impl Scales for Halves {
    const PER_16: bool = true;
}

/// Multiplies rows `rows` (begin a multiple of 4) of a packed matrix of `n_rows` with `n_tokens`
/// quantised tokens. `weight` holds all panels.
pub fn mat_mul(
    output: &mut Output<'_>,
    x: &Quantized<'_>,
    weight: &[u8],
    packing: Packing,
    shape: Shape,
    rows: core::ops::Range<usize>,
) {
    match (packing.block_bytes, packing.per_16, packing.has_min) {
        (128, ..) => run::<Bytes, Offset>(output, x, weight, packing, shape, rows),
        (96, true, _) => run::<Nibbles<2>, Halves>(output, x, weight, packing, shape, rows),
        (80, _, true) => run::<Nibbles<1>, Minimum>(output, x, weight, packing, shape, rows),
        (80, _, false) => run::<Nibbles<1>, Offset>(output, x, weight, packing, shape, rows),
        (_, _, true) => run::<Nibbles<0>, Minimum>(output, x, weight, packing, shape, rows),
        _ if packing.is_lookup => run::<Lookup, Offset>(output, x, weight, packing, shape, rows),
        _ => run::<Nibbles<0>, Offset>(output, x, weight, packing, shape, rows),
    }
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

fn run<C: Codes, S: Scales>(
    output: &mut Output<'_>,
    x: &Quantized<'_>,
    weight: &[u8],
    packing: Packing,
    shape: Shape,
    rows: core::ops::Range<usize>,
) {
    let n_blocks = shape.n_cols / BLOCK;
    let panel_bytes = packing.panel_bytes(n_blocks);
    let panels = rows.start / 4..rows.end.div_ceil(4);
    let n_tiled = shape.n_tokens - shape.n_tokens % TILE;
    let mut panel = panels.start;
    while panel < panels.end {
        // Two panels share the loads of a single token's codes; a tile has no registers for that.
        let pair = panel + 1 < panels.end;
        let first = &weight[panel * panel_bytes..(panel + 1) * panel_bytes];
        let n_panels = if pair { 2 } else { 1 };
        let both = &weight[panel * panel_bytes..(panel + n_panels) * panel_bytes];
        for token in (0..n_tiled).step_by(TILE) {
            for (p, bytes) in both.chunks_exact(panel_bytes).enumerate() {
                let sums = tile::<C, S, TILE, 1>([bytes], x, token, n_blocks, packing.offset);
                output.store(sums[0], token, 4 * (panel + p), shape.n_rows);
            }
        }
        for token in n_tiled..shape.n_tokens {
            if pair {
                let bytes = [first, &both[panel_bytes..]];
                let sums = tile::<C, S, 1, 2>(bytes, x, token, n_blocks, packing.offset);
                output.store(sums[0], token, 4 * panel, shape.n_rows);
                output.store(sums[1], token, 4 * (panel + 1), shape.n_rows);
            } else {
                let sums = tile::<C, S, 1, 1>([first], x, token, n_blocks, packing.offset);
                output.store(sums[0], token, 4 * panel, shape.n_rows);
            }
        }
        panel += n_panels;
    }
}

#[inline(always)]
fn tile<C: Codes, S: Scales, const TOKENS: usize, const PANELS: usize>(
    panels: [&[u8]; PANELS],
    x: &Quantized<'_>,
    token: usize,
    n_blocks: usize,
    offset: i32,
) -> [[F32x4; TOKENS]; PANELS] {
    let width = TOKENS * BLOCK;
    let codes = &x.codes[token * n_blocks * BLOCK..][..n_blocks * width];
    let scales = &x.scales[2 * token * n_blocks..][..2 * n_blocks * TOKENS];
    let sums = &x.sums[2 * token * n_blocks..][..2 * n_blocks * TOKENS];
    let tails = panels.map(|panel| {
        let (_, tail) = panel.split_at(n_blocks * C::BYTES);
        tail.split_at(n_blocks * if S::PER_16 { 16 } else { 8 })
    });
    let mut total = [[F32x4::splat(0.0); TOKENS]; PANELS];
    let blocks = codes
        .chunks_exact(width)
        .zip(scales.chunks_exact(2 * TOKENS))
        .zip(sums.chunks_exact(2 * TOKENS))
        .enumerate();
    for (b, ((codes, scales), sums)) in blocks {
        let mut dots = [[[I32x4::splat(0); TOKENS]; 2]; PANELS];
        for p in 0..PANELS {
            let block = &panels[p][b * C::BYTES..(b + 1) * C::BYTES];
            for j in 0..4 {
                let operands = C::operands(block, j);
                for (e, &operand) in operands.iter().enumerate() {
                    let half = if S::PER_16 { e % 2 } else { 0 };
                    for (t, dot) in dots[p][half].iter_mut().enumerate() {
                        let pair = I16x8::load_pair(codes, 2 * ((4 * j + e) * TOKENS + t));
                        *dot = dot.add(operand.dot(pair));
                    }
                }
            }
        }
        for p in 0..PANELS {
            let (scale_bytes, min_bytes) = tails[p];
            for t in 0..TOKENS {
                let x_scale = F32x4::splat(scales[2 * t]);
                let sum = &mut total[p][t];
                if S::PER_16 {
                    for half in 0..2 {
                        let scale = F32x4::load_f16_bytes(scale_bytes, 16 * b + 8 * half);
                        let correction = I32x4::splat(offset * sums[2 * t + half]);
                        let dot = dots[p][half][t].sub(correction).to_f32();
                        *sum = scale.mul(x_scale).mul_add(dot, *sum);
                    }
                    continue;
                }
                let scale = F32x4::load_f16_bytes(scale_bytes, 8 * b);
                let mut dot = dots[p][0][t];
                if !S::HAS_MIN {
                    dot = dot.sub(I32x4::splat(offset * (sums[2 * t] + sums[2 * t + 1])));
                }
                *sum = scale.mul(x_scale).mul_add(dot.to_f32(), *sum);
                if S::HAS_MIN {
                    let min = F32x4::load_f16_bytes(min_bytes, 8 * b);
                    *sum = min.mul_add(F32x4::splat(scales[2 * t + 1]), *sum);
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
            if row + 4 <= n_rows {
                sum.store(self.out, at);
            } else {
                let n = n_rows - row;
                self.out[at..at + n].copy_from_slice(&sum.lanes()[..n]);
            }
        }
    }
}

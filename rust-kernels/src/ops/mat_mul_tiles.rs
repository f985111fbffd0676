//! The product of tiles of tokens: tokens are the lanes. A panel's codes are laid out once for all
//! tiles, each row's step four times over, so that the inner loop only loads, multiplies and adds:
//!
//! | a laid block | bytes                       | content                                      |
//! |--------------|-----------------------------|----------------------------------------------|
//! | codes        | [STEPS, 4 rows, 4 copies] 4 | a step of a row, four times                  |
//! | scales       | [PARTS, 4 rows, 4 copies] 4 | f32, per 16 columns or per block             |
//! | minima       | [4 rows, 4 copies] 4, or 0  | f32                                          |
//!
//! Four rows by two vectors of tokens need eight sums, two vectors of activations, one of weights
//! and one product: twelve of the sixteen registers. Loads have constant offsets from two pointers.
use super::block_dot::{Codes, Form, STEP_BYTES};
use super::mat_mul::{Output, Product, Scales, Shape};
use super::quantize::{Quantized, tiles};
use crate::lanes::{F32x4, I16x8, I32x4};
use crate::quant::packed::BLOCK;
use core::ops::Range;

/// Rows of a panel.
const ROWS: usize = 4;
/// Bytes of a vector.
const VECTOR: usize = 16;
/// Bytes of a laid panel: it and a tile's activations stay in the first cache.
const MAX_LAID: usize = 28 << 10;

// A function of its own: in one that holds all types, older engines allocate registers hastily.
#[inline(never)]
pub(super) fn run<C: Codes, S: Scales>(
    output: &mut Output<'_>,
    product: &Product<'_>,
    rows: Range<usize>,
) {
    let shape = product.shape;
    if tiles(shape.n_tokens).all(|(_, width)| width == 1) {
        return;
    }
    let mut laid = [0u8; MAX_LAID];
    let (own_bytes, laid_bytes) = (C::BLOCK_BYTES + S::BYTES, laid_block_bytes::<C, S>());
    let n_blocks = shape.n_cols / BLOCK;
    // Not a constant to the compiler: it would unroll the loop over steps and change its order, and
    // then the operands of many steps spill.
    let flush = core::hint::black_box(flush_steps::<C, S>());
    let n_chunk = n_blocks.div_ceil(n_blocks.div_ceil(MAX_LAID / laid_bytes));
    for (first_row, group) in product.groups(&rows) {
        for panel in 0..2 {
            let row = first_row + ROWS * panel;
            if row >= shape.n_rows {
                break; // a group's padding
            }
            for first in (0..n_blocks).step_by(n_chunk) {
                let blocks = first..n_blocks.min(first + n_chunk);
                let laid = &mut laid[..blocks.len() * laid_bytes];
                let own = &group[2 * own_bytes * first..2 * own_bytes * blocks.end];
                let own = own.chunks_exact(own_bytes).skip(panel).step_by(2);
                for (block, laid) in own.zip(laid.chunks_exact_mut(laid_bytes)) {
                    lay_out::<C, S>(block, laid);
                }
                for (token, width) in tiles(shape.n_tokens) {
                    let blocks = blocks.clone();
                    let at = Place { token, row, blocks, flush };
                    match width {
                        8 => tile::<C, S, 2>(output, laid, product.x, shape, at),
                        4 => tile::<C, S, 1>(output, laid, product.x, shape, at),
                        _ => {} // mat_vec.rs
                    }
                }
            }
        }
    }
}

/// Steps whose products a sum takes.
const fn flush_steps<C: Codes, S: Scales>() -> usize {
    let part = C::Form::STEPS / S::PARTS;
    if part < C::FLUSH { part } else { C::FLUSH }
}

const fn laid_block_bytes<C: Codes, S: Scales>() -> usize {
    let n_vectors = C::Form::STEPS + S::PARTS + if S::HAS_MIN { 1 } else { 0 };
    ROWS * VECTOR * n_vectors
}

#[inline(always)]
fn lay_out<C: Codes, S: Scales>(block: &[u8], laid: &mut [u8]) {
    C::each(block, |step, weights| {
        for (row, four) in weights.spread().into_iter().enumerate() {
            four.store(laid, VECTOR * (ROWS * step + row));
        }
    });
    for i in 0..S::BYTES / 8 {
        let scales = F32x4::load_f16_bytes(block, C::BLOCK_BYTES + 8 * i);
        for (row, four) in scales.spread().into_iter().enumerate() {
            four.store_bytes(laid, VECTOR * (ROWS * (C::Form::STEPS + i) + row));
        }
    }
}

/// Which outputs, and of which blocks.
struct Place {
    token: usize,
    row: usize,
    blocks: Range<usize>,
    /// Steps between flushes.
    flush: usize,
}

/// Four rows of `4 VECTORS` tokens: adds the blocks to what those before them left in `output`.
#[inline(always)]
fn tile<C: Codes, S: Scales, const VECTORS: usize>(
    output: &mut Output<'_>,
    laid: &[u8],
    x: &Quantized<'_>,
    shape: Shape,
    at: Place,
) {
    let (width, n_blocks) = (4 * VECTORS, shape.n_cols / BLOCK);
    let x_bytes = width * STEP_BYTES * C::Form::STEPS;
    let first = at.token * n_blocks;
    let own =
        |n: usize| first * n / width + n * at.blocks.start..first * n / width + n * at.blocks.end;
    let codes = &x.codes[own(x_bytes)];
    let sides = own(2 * width);
    let (scales, sums) = (&x.scales[sides.clone()], &x.sums[sides]);
    let mut total = [[F32x4::splat(0.0); VECTORS]; ROWS];
    if at.blocks.start > 0 {
        for v in 0..VECTORS {
            let four = output.load(at.token + 4 * v, at.row, shape);
            for (row, tokens) in F32x4::transpose(four).into_iter().enumerate() {
                total[row][v] = tokens;
            }
        }
    }
    let blocks = laid
        .chunks_exact(laid_block_bytes::<C, S>())
        .zip(codes.chunks_exact(x_bytes))
        .zip(scales.chunks_exact(2 * width).zip(sums.chunks_exact(2 * width)));
    for ((laid, codes), (scales, sums)) in blocks {
        add_block::<C, S, VECTORS>(&mut total, laid, codes, scales, sums, at.flush);
    }
    for v in 0..VECTORS {
        let four = F32x4::transpose(core::array::from_fn(|row| total[row][v]));
        output.store(four, at.token + 4 * v, at.row, shape);
    }
}

#[inline(always)]
fn add_block<C: Codes, S: Scales, const VECTORS: usize>(
    total: &mut [[F32x4; VECTORS]; ROWS],
    laid: &[u8],
    codes: &[u8],
    scales: &[f32],
    sums: &[i32],
    flush: usize,
) {
    let width = 4 * VECTORS;
    let sides = ROWS * VECTOR * C::Form::STEPS;
    for part in 0..S::PARTS {
        let dots = dots::<C, S, VECTORS>(laid, codes, part, flush);
        for v in 0..VECTORS {
            let sum = I32x4::load(sums, 4 * v);
            let second = I32x4::load(sums, width + 4 * v);
            let sum = match (S::PARTS, part) {
                (1, _) => sum,
                (_, 0) => sum.sub(second),
                _ => second,
            };
            let x_scale = F32x4::load(scales, 4 * v);
            for (row, dots) in dots.iter().enumerate() {
                let dot = if S::SHIFT == 0 { dots[v] } else { dots[v].sub(sum.shl(S::SHIFT)) };
                let own = F32x4::load_bytes(laid, sides + VECTOR * (ROWS * part + row));
                total[row][v] = own.mul(x_scale).mul_add(dot.to_f32(), total[row][v]);
            }
        }
    }
    if S::HAS_MIN {
        for v in 0..VECTORS {
            let x_sum = F32x4::load(scales, width + 4 * v);
            for (row, total) in total.iter_mut().enumerate() {
                let own = F32x4::load_bytes(laid, sides + VECTOR * (ROWS * S::PARTS + row));
                total[v] = own.mul_add(x_sum, total[v]);
            }
        }
    }
}

/// Integer sums of part `part` of a block: laid codes times activations.
#[inline(always)]
fn dots<C: Codes, S: Scales, const VECTORS: usize>(
    laid: &[u8],
    codes: &[u8],
    part: usize,
    flush: usize,
) -> [[I32x4; VECTORS]; ROWS] {
    let part_steps = C::Form::STEPS / S::PARTS;
    let mut total = [[I32x4::splat(0); VECTORS]; ROWS];
    for first in (part * part_steps..(part + 1) * part_steps).step_by(flush_steps::<C, S>()) {
        let laid = &laid.as_chunks().0[first..][..flush];
        let sums = step_sums::<C, VECTORS>(laid, &codes.as_chunks().0[VECTORS * first..]);
        for (total, sums) in total.iter_mut().zip(sums) {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total = total.add(C::Form::flush(sum));
            }
        }
    }
    total
}

/// Slices of arrays, not chunks of bytes that are zipped: their loop has two pointers that move, and no
/// number of the step from which both are computed.
#[inline(always)]
fn step_sums<C: Codes, const VECTORS: usize>(
    laid: &[[u8; ROWS * VECTOR]],
    codes: &[[u8; VECTOR]],
) -> [[<C::Form as Form>::Sum; VECTORS]; ROWS] {
    let mut sums = [[C::Form::zero(); VECTORS]; ROWS];
    let Some((weights, laid)) = laid.split_first() else { return sums };
    let Some((xs, codes)) = codes.split_first_chunk::<VECTORS>() else { return sums };
    let x = xs.map(|x| I16x8::load(&x, 0));
    for (row, sums) in sums.iter_mut().enumerate() {
        *sums = x.map(|x| C::Form::product(I16x8::load(weights, VECTOR * row), x));
    }
    let mut codes = codes.as_chunks::<VECTORS>().0.iter();
    for weights in laid {
        let Some(xs) = codes.next() else { break };
        let x = xs.map(|x| I16x8::load(&x, 0));
        for (row, sums) in sums.iter_mut().enumerate() {
            let weights = I16x8::load(weights, VECTOR * row);
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = C::Form::add(*sum, C::Form::product(weights, x));
            }
        }
    }
    sums
}

//! The product of one token, or of what is left over from tiles of tokens: rows are the lanes, codes
//! are read where they lie.
use super::block_dot::{Codes, Form, STEP_BYTES};
use super::mat_mul::{Output, Product, Scales};
use super::quantize::tiles;
use crate::lanes::{F32x4, I16x8, I32x4};
use crate::quant::packed::BLOCK;
use core::ops::Range;

pub(super) fn run<C: Codes, S: Scales>(
    output: &mut Output<'_>,
    product: &Product<'_>,
    rows: Range<usize>,
) {
    let shape = product.shape;
    let single = tiles(shape.n_tokens).find(|(_, width)| *width == 1);
    let Some((first, _)) = single else { return };
    for (row, group) in product.groups(&rows) {
        for token in first..shape.n_tokens {
            let sums = token_sums::<C, S>(group, product, token);
            output.store([sums[0]], token, row, shape);
            output.store([sums[1]], token, row + 4, shape);
        }
    }
}

/// The sums of both panels.
#[inline(always)]
fn token_sums<C: Codes, S: Scales>(
    group: &[u8],
    product: &Product<'_>,
    token: usize,
) -> [F32x4; 2] {
    let (x, n_blocks) = (product.x, product.shape.n_cols / BLOCK);
    let x_bytes = STEP_BYTES * C::Form::STEPS;
    let codes = &x.codes[token * n_blocks * x_bytes..][..n_blocks * x_bytes];
    let scales = &x.scales[2 * token * n_blocks..][..2 * n_blocks];
    let sums = &x.sums[2 * token * n_blocks..][..2 * n_blocks];
    let block_bytes = C::BLOCK_BYTES + S::BYTES;
    let mut total = [F32x4::splat(0.0); 2];
    let blocks = codes
        .chunks_exact(x_bytes)
        .zip(scales.chunks_exact(2))
        .zip(sums.chunks_exact(2))
        .zip(group.chunks_exact(2 * block_bytes));
    for (((codes, scales), sums), pair) in blocks {
        for panel in 0..2 {
            let (block, total) = (&pair[panel * block_bytes..][..block_bytes], &mut total[panel]);
            let dots = dots::<C>(block, codes, S::PARTS);
            for (part, dot) in dots.into_iter().take(S::PARTS).enumerate() {
                let scale = F32x4::load_f16_bytes(block, C::BLOCK_BYTES + 8 * part);
                let sum = match (S::PARTS, part) {
                    (1, _) => sums[0],
                    (_, 0) => sums[0] - sums[1],
                    _ => sums[1],
                };
                let dot = match S::SHIFT {
                    0 => dot,
                    shift => dot.sub(I32x4::splat(sum).shl(shift)),
                };
                *total = scale.mul(F32x4::splat(scales[0])).mul_add(dot.to_f32(), *total);
            }
            if S::HAS_MIN {
                let min = F32x4::load_f16_bytes(block, C::BLOCK_BYTES + 8 * S::PARTS);
                *total = min.mul_add(F32x4::splat(scales[1]), *total);
            }
        }
    }
    total
}

/// Integer sums of four rows, per half of the columns, or all in the first where `parts` is 1.
#[inline(always)]
fn dots<C: Codes>(block: &[u8], codes: &[u8], parts: usize) -> [I32x4; 2] {
    let half_steps = C::Form::STEPS / 2;
    let mut totals = [I32x4::splat(0); 2];
    let mut open = [C::Form::zero(); 2];
    let mut n_open = [0; 2];
    C::each(block, |step, weights| {
        let half = if C::IS_FLUSHED || parts == 2 { step / half_steps } else { 0 };
        let product = C::Form::product(weights, I16x8::load_pair(codes, STEP_BYTES * step));
        open[half] = C::Form::add(open[half], product);
        n_open[half] += 1;
        if C::IS_FLUSHED && n_open[half] % C::FLUSH == 0 {
            let part = if parts == 2 { half } else { 0 };
            totals[part] = totals[part].add(C::Form::flush(open[half]));
            open[half] = C::Form::zero();
        }
    });
    if C::IS_FLUSHED { totals } else { open.map(C::Form::flush) }
}

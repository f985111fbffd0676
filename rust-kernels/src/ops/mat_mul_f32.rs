//! out[t, r] = sum over k of x[t, k] w[r, k], in f32 over dequantised weights, k ascending.
//!
//! Eight rows at a time are dequantised and turned to [n_cols, 8]; each lane then adds its products
//! one after the other, the same bits for any number of tokens.
use super::mat_mul::{Output, Shape};
use crate::lanes::F32x4;
use crate::quant::{TensorType, dequantize_row};

const ROWS: usize = 8;

/// f32 elements of scratch.
pub fn scratch_len(n_cols: usize) -> usize {
    (ROWS + 4) * n_cols
}

/// Multiplies rows `rows` of the GGUF blocks `weight` with x f32[n_tokens, n_cols].
pub fn mat_mul_f32(
    output: &mut Output<'_>,
    x: &[f32],
    weight: &[u8],
    ty: TensorType,
    shape: Shape,
    rows: core::ops::Range<usize>,
    scratch: &mut [f32],
) {
    let Shape { n_cols, n_tokens, .. } = shape;
    let row_bytes = ty.row_bytes(n_cols);
    let (panel, plain) = scratch[..scratch_len(n_cols)].split_at_mut(ROWS * n_cols);
    for row in rows.clone().step_by(ROWS) {
        let n = ROWS.min(rows.end - row);
        for half in 0..2 {
            let first = 4 * half;
            let wanted = n.saturating_sub(first).min(4);
            plain.fill(0.0);
            let blocks = &weight[(row + first.min(n)) * row_bytes..][..wanted * row_bytes];
            dequantize_row(ty, blocks, &mut plain[..wanted * n_cols]);
            transpose(panel, plain, n_cols, first);
        }
        let mut token = 0;
        while token + 4 <= n_tokens {
            let sums = tile::<4>(panel, &x[token * n_cols..(token + 4) * n_cols], n_cols);
            output.store(sums[0], token, row, shape);
            if n > 4 {
                output.store(sums[1], token, row + 4, shape);
            }
            token += 4;
        }
        for token in token..n_tokens {
            let sums = tile::<1>(panel, &x[token * n_cols..(token + 1) * n_cols], n_cols);
            output.store(sums[0], token, row, shape);
            if n > 4 {
                output.store(sums[1], token, row + 4, shape);
            }
        }
    }
}

/// `plain` f32[4, n_cols] into columns `first ..` of `panel` f32[n_cols, 8].
fn transpose(panel: &mut [f32], plain: &[f32], n_cols: usize, first: usize) {
    let whole = n_cols - n_cols % 4;
    for k in (0..whole).step_by(4) {
        let rows = core::array::from_fn(|r| F32x4::load(plain, r * n_cols + k));
        for (i, column) in F32x4::transpose(rows).into_iter().enumerate() {
            column.store(panel, (k + i) * ROWS + first);
        }
    }
    for k in whole..n_cols {
        for r in 0..4 {
            panel[k * ROWS + first + r] = plain[r * n_cols + k];
        }
    }
}

#[inline(always)]
fn tile<const TOKENS: usize>(panel: &[f32], x: &[f32], n_cols: usize) -> [[F32x4; TOKENS]; 2] {
    let mut sums = [[F32x4::splat(0.0); TOKENS]; 2];
    let x: [&[f32]; TOKENS] = core::array::from_fn(|t| &x[t * n_cols..(t + 1) * n_cols]);
    for (k, column) in panel.chunks_exact(ROWS).enumerate() {
        let w = [F32x4::load(column, 0), F32x4::load(column, 4)];
        for t in 0..TOKENS {
            let x = F32x4::splat(x[t][k]);
            sums[0][t] = x.mul_add(w[0], sums[0][t]);
            sums[1][t] = x.mul_add(w[1], sums[1][t]);
        }
    }
    sums
}

//! What methods ask for beside attention, and rows moved to other positions.

use crate::abi::{slice, slice_mut};
use crate::cache_rows::{Cells, Codec, Q8};
use crate::ops::measure;
use crate::ops::rope::RopeStyle;
use wasm_bindgen::prelude::wasm_bindgen;

fn rope_style(style: u32) -> RopeStyle {
    if style == 0 { RopeStyle::Interleaved } else { RopeStyle::Half }
}

/// Turns `n` rows (`codec` 0 f32, 1 f16, 2 q8) from `positions` u32`[n]` to `targets`
/// u32`[n]`; `frequencies` f32`[head_dim / 2]`, `style` 0 interleaved, 1 half.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn rotate_rows(
    codec: u32,
    rows: u32,
    positions: u32,
    targets: u32,
    n: u32,
    head_dim: u32,
    frequencies: u32,
    style: u32,
) {
    let (n, d, style) = (n as usize, head_dim as usize, rope_style(style));
    // SAFETY: the caller's arena holds the ranges, apart.
    unsafe {
        let (positions, targets) = (slice_mut(positions, n), slice(targets, n));
        let frequencies = slice(frequencies, d / 2);
        match codec {
            0 => {
                let rows = slice_mut(rows, n * d);
                measure::rotate_rows::<Cells<f32>>(rows, positions, targets, frequencies, style);
            }
            1 => {
                let rows = slice_mut(rows, n * d);
                measure::rotate_rows::<Cells<u16>>(rows, positions, targets, frequencies, style);
            }
            _ => {
                let rows = slice_mut(rows, n * Q8::row_len(d));
                measure::rotate_rows::<Q8>(rows, positions, targets, frequencies, style);
            }
        }
    }
}

/// f32 elements of scratch for `query_sums_head`.
#[wasm_bindgen]
pub fn query_sums_scratch_len(head_dim: u32) -> u32 {
    measure::query_sums_scratch_len(head_dim as usize) as u32
}

/// Adds the queries of one head before rotation to `sums` f64`[head_dim]` and their products to the
/// f64`[head_dim, head_dim]` behind it; q f32`[n_tokens, q_stride]` from `q_column`.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn query_sums_head(
    sums: u32,
    q: u32,
    q_stride: u32,
    q_column: u32,
    n_tokens: u32,
    head_dim: u32,
    table: u32,
    style: u32,
    scratch: u32,
) {
    let (d, n, stride) = (head_dim as usize, n_tokens as usize, q_stride as usize);
    // SAFETY: the caller's arena holds the ranges, apart.
    unsafe {
        let (sums, products) = slice_mut::<f64>(sums, d + d * d).split_at_mut(d);
        let q = &slice::<f32>(q, n * stride)[q_column as usize..];
        let scratch = slice_mut(scratch, measure::query_sums_scratch_len(d));
        measure::query_sums(
            sums,
            products,
            q,
            stride,
            slice(table, n * d),
            rope_style(style),
            scratch,
        );
    }
}

/// f32 elements of scratch for `add_output_norms`.
#[wasm_bindgen]
pub fn output_norms_scratch_len(head_dim: u32) -> u32 {
    measure::output_norms_scratch_len(head_dim as usize) as u32
}

/// Adds sums of |w . v| to `norms` f32`[n_rows]` over the rows w of weight f32`[n_weights, stride]`
/// from `column`; values are `n_rows` rows, `codec` 0 f32, 1 f16, 2 q8.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn add_output_norms(
    codec: u32,
    norms: u32,
    values: u32,
    n_rows: u32,
    head_dim: u32,
    weight: u32,
    n_weights: u32,
    stride: u32,
    column: u32,
    scratch: u32,
) {
    let (n, d) = (n_rows as usize, head_dim as usize);
    let (stride, column) = (stride as usize, column as usize);
    // SAFETY: the caller's arena holds the ranges, apart.
    unsafe {
        let norms = slice_mut(norms, n);
        let weight = slice(weight, n_weights as usize * stride);
        let scratch = slice_mut(scratch, measure::output_norms_scratch_len(d));
        macro_rules! add {
            ($codec:ty) => {
                measure::add_output_norms::<$codec>(
                    norms,
                    slice(values, n * <$codec>::row_len(d)),
                    d,
                    weight,
                    stride,
                    column,
                    scratch,
                )
            };
        }
        match codec {
            0 => add!(Cells<f32>),
            1 => add!(Cells<u16>),
            _ => add!(Q8),
        }
    }
}

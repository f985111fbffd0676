//! The engine's operations on weights and activations; those on cache rows are in rows.rs. Offsets
//! are bytes into linear memory, counts are elements.
use crate::abi::{slice, slice_mut};
use crate::ops::block_dot;
use crate::ops::gate::{self, Activation};
use crate::ops::mat_mul::{self, Output, Shape};
use crate::ops::quantize::{self, Quantized};
use crate::ops::rope::{self, RopeStyle};
use crate::ops::{mat_mul_f32, rms_norm as norm};
use crate::quant::packed::{self, BLOCK, GROUP_ROWS};
use crate::quant::{TensorType, dequantize_row};
use wasm_bindgen::prelude::wasm_bindgen;

fn tensor_type(id: u32) -> TensorType {
    TensorType::from_id(id).unwrap_or_else(|| panic!("unknown tensor type"))
}

/// Bytes of a matrix of tensor type `ty` in the layout that `mat_mul` reads; `is_raw`: GGUF blocks.
#[wasm_bindgen]
pub fn weight_bytes(ty: u32, n_rows: u32, n_cols: u32, is_raw: bool) -> f64 {
    let ty = tensor_type(ty);
    if is_raw {
        return (n_rows as usize * ty.row_bytes(n_cols as usize)) as f64;
    }
    packed::weight_bytes(ty, n_rows as usize, n_cols as usize) as f64
}

/// Whether tensor type `ty` has a packed layout.
#[wasm_bindgen]
pub fn is_packed(ty: u32) -> bool {
    packed::packing(tensor_type(ty)).is_some()
}

/// f32 elements of scratch for `pack_rows`.
#[wasm_bindgen]
pub fn pack_scratch_len(n_cols: u32) -> u32 {
    packed::pack_scratch_len(n_cols as usize) as u32
}

/// Packs `n` rows of GGUF blocks at `rows` as rows `first_row ..` (a multiple of 8) of `weight`.
#[wasm_bindgen]
pub fn pack_rows(
    ty: u32,
    weight: u32,
    first_row: u32,
    rows: u32,
    n: u32,
    n_cols: u32,
    scratch: u32,
) {
    let (ty, n, n_cols) = (tensor_type(ty), n as usize, n_cols as usize);
    let Some(packing) = packed::packing(ty) else {
        return;
    };
    let row_bytes = ty.row_bytes(n_cols);
    let group_bytes = packing.group_bytes(n_cols / BLOCK);
    let first = weight + (first_row as usize / GROUP_ROWS * group_bytes) as u32;
    // SAFETY: the caller's arena holds the groups, the rows and the scratch, apart.
    let (groups, rows, scratch) = unsafe {
        (
            slice_mut::<u8>(first, n.div_ceil(GROUP_ROWS) * group_bytes),
            slice::<u8>(rows, n * row_bytes),
            slice_mut::<f32>(scratch, packed::pack_scratch_len(n_cols)),
        )
    };
    let rows = rows.chunks(GROUP_ROWS * row_bytes);
    for (group, rows) in groups.chunks_exact_mut(group_bytes).zip(rows) {
        packed::pack_group(ty, packing, group, rows, n_cols, scratch);
    }
}

/// Whether weights of tensor type `ty` are multiplied with narrow activation codes in this build.
#[wasm_bindgen]
pub fn is_narrow(ty: u32) -> bool {
    packed::packing(tensor_type(ty)).is_some_and(block_dot::is_narrow)
}

/// Tokens that the quantised form of `n_tokens` has place for.
#[wasm_bindgen]
pub fn padded_tokens(n_tokens: u32) -> u32 {
    quantize::padded(n_tokens as usize) as u32
}

/// x f32[n_tokens, n_cols] to codes (2 bytes each, 1 where narrow) and f32 scales and i32 sums
/// [n_cols / 32, 2], of as many tokens as `padded_tokens` says.
#[wasm_bindgen]
pub fn quantize(
    codes: u32,
    scales: u32,
    sums: u32,
    x: u32,
    n_tokens: u32,
    n_cols: u32,
    is_narrow: bool,
) {
    let (n_tokens, n_cols) = (n_tokens as usize, n_cols as usize);
    let n = quantize::padded(n_tokens) * n_cols;
    // SAFETY: the caller's arena holds the four ranges, apart.
    unsafe {
        quantize::quantize(
            slice_mut(codes, quantize::code_bytes(n, is_narrow)),
            slice_mut(scales, 2 * (n / BLOCK)),
            slice_mut(sums, 2 * (n / BLOCK)),
            slice(x, n_tokens * n_cols),
            n_cols,
            is_narrow,
        );
    }
}

/// Tokens of x f32[n_tokens, n_cols] with a massive activation, to `list` u32[n_tokens]; their number.
#[wasm_bindgen]
pub fn peaked_tokens(list: u32, x: u32, n_tokens: u32, n_cols: u32) -> u32 {
    let (n_tokens, n_cols) = (n_tokens as usize, n_cols as usize);
    // SAFETY: the caller's arena holds both ranges, apart.
    let (list, x) = unsafe { (slice_mut::<u32>(list, n_tokens), slice(x, n_tokens * n_cols)) };
    let mut n = 0;
    for (token, x) in x.chunks_exact(n_cols).enumerate() {
        if quantize::is_peaked(x) {
            list[n] = token as u32;
            n += 1;
        }
    }
    n as u32
}

/// out f32[n_cols] = x f32[n_cols] less what its codes stand for.
#[wasm_bindgen]
pub fn residual(out: u32, x: u32, n_cols: u32) {
    let n = n_cols as usize;
    // SAFETY: the caller's arena holds both ranges, apart.
    unsafe { quantize::residual(slice_mut(out, n), slice(x, n)) }
}

/// out f32[n_tokens, stride] at `column` = rows [begin, end) of a packed weight times quantised x.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn mat_mul_packed(
    ty: u32,
    out: u32,
    stride: u32,
    column: u32,
    codes: u32,
    scales: u32,
    sums: u32,
    n_tokens: u32,
    weight: u32,
    n_rows: u32,
    n_cols: u32,
    begin: u32,
    end: u32,
) {
    let ty = tensor_type(ty);
    let Some(packing) = packed::packing(ty) else {
        return;
    };
    let shape =
        Shape { n_rows: n_rows as usize, n_cols: n_cols as usize, n_tokens: n_tokens as usize };
    let n = quantize::padded(shape.n_tokens) * shape.n_cols;
    // SAFETY: the caller's arena holds the five ranges, and `out` overlaps none of the others.
    let (out, x, weight) = unsafe {
        (
            slice_mut(out, shape.n_tokens * stride as usize),
            Quantized {
                codes: slice(codes, quantize::code_bytes(n, block_dot::is_narrow(packing))),
                scales: slice(scales, 2 * (n / BLOCK)),
                sums: slice(sums, 2 * (n / BLOCK)),
            },
            slice::<u8>(weight, packed::weight_bytes(ty, shape.n_rows, shape.n_cols)),
        )
    };
    let mut output = Output { out, stride: stride as usize, column: column as usize };
    let rows = begin as usize..end as usize;
    mat_mul::mat_mul(&mut output, &x, weight, packing, shape, rows);
}

/// f32 elements of scratch for `mat_mul_raw`.
#[wasm_bindgen]
pub fn mat_mul_scratch_len(n_cols: u32) -> u32 {
    mat_mul_f32::scratch_len(n_cols as usize) as u32
}

/// out f32[n_tokens, stride] at `column` = rows [begin, end) of a weight of GGUF blocks times x.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn mat_mul_raw(
    ty: u32,
    out: u32,
    stride: u32,
    column: u32,
    x: u32,
    n_tokens: u32,
    weight: u32,
    n_rows: u32,
    n_cols: u32,
    begin: u32,
    end: u32,
    scratch: u32,
) {
    let ty = tensor_type(ty);
    let shape =
        Shape { n_rows: n_rows as usize, n_cols: n_cols as usize, n_tokens: n_tokens as usize };
    // SAFETY: the caller's arena holds the ranges; `out` and `scratch` overlap nothing.
    let (out, x, weight, scratch) = unsafe {
        (
            slice_mut(out, shape.n_tokens * stride as usize),
            slice(x, shape.n_tokens * shape.n_cols),
            slice::<u8>(weight, shape.n_rows * ty.row_bytes(shape.n_cols)),
            slice_mut(scratch, mat_mul_f32::scratch_len(shape.n_cols)),
        )
    };
    let mut output = Output { out, stride: stride as usize, column: column as usize };
    let rows = begin as usize..end as usize;
    mat_mul_f32::mat_mul_f32(&mut output, x, weight, ty, shape, rows, scratch);
}

/// One row of GGUF blocks to f32[n_cols], times `scale`.
#[wasm_bindgen]
pub fn embed_row(ty: u32, out: u32, row: u32, n_cols: u32, scale: f32) {
    let ty = tensor_type(ty);
    // SAFETY: the caller's arena holds both ranges, apart.
    let (out, row) = unsafe {
        (slice_mut::<f32>(out, n_cols as usize), slice::<u8>(row, ty.row_bytes(n_cols as usize)))
    };
    dequantize_row(ty, row, out);
    if scale != 1.0 {
        out.iter_mut().for_each(|x| *x *= scale);
    }
}

/// Row `row` of a packed weight to f32[n_cols], times `scale`.
#[wasm_bindgen]
pub fn embed_packed_row(ty: u32, out: u32, weight: u32, row: u32, n_cols: u32, scale: f32) {
    let ty = tensor_type(ty);
    let Some(packing) = packed::packing(ty) else {
        return;
    };
    let n_cols = n_cols as usize;
    let group_bytes = packing.group_bytes(n_cols / BLOCK);
    let row = row as usize;
    // SAFETY: the caller's arena holds both ranges, apart.
    let (out, group) = unsafe {
        (
            slice_mut::<f32>(out, n_cols),
            slice::<u8>(weight + (row / GROUP_ROWS * group_bytes) as u32, group_bytes),
        )
    };
    packed::unpack_row(packing, group, row % GROUP_ROWS, out);
    out.iter_mut().for_each(|x| *x *= scale);
}

/// out f32[n_tokens, size] = RMS norm of x, weight f32[size].
#[wasm_bindgen]
pub fn rms_norm(out: u32, x: u32, weight: u32, n_tokens: u32, size: u32, eps: f32) {
    let n = (n_tokens * size) as usize;
    // SAFETY: the caller's arena holds the ranges, apart.
    unsafe { norm::rms_norm(slice_mut(out, n), slice(x, n), slice(weight, size as usize), eps) }
}

/// x f32[n_tokens, stride] at `column`: adds bias f32[size].
#[wasm_bindgen]
pub fn add_bias(x: u32, bias: u32, n_tokens: u32, stride: u32, column: u32, size: u32) {
    let stride = stride as usize;
    // SAFETY: the caller's arena holds both ranges, apart.
    let (x, bias) = unsafe {
        (slice_mut::<f32>(x, n_tokens as usize * stride), slice::<f32>(bias, size as usize))
    };
    for row in x.chunks_exact_mut(stride) {
        row[column as usize..].iter_mut().zip(bias).for_each(|(x, b)| *x += b);
    }
}

/// x f32[n] += y f32[n].
#[wasm_bindgen]
pub fn add(x: u32, y: u32, n: u32) {
    // SAFETY: the caller's arena holds both ranges, apart.
    let (x, y) = unsafe { (slice_mut::<f32>(x, n as usize), slice::<f32>(y, n as usize)) };
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// out f32[n_tokens, size] from gate_up f32[n_tokens, 2 size]; `kind` 0 silu, 1 gelu-tanh.
#[wasm_bindgen]
pub fn gate(out: u32, gate_up: u32, n_tokens: u32, size: u32, kind: u32) {
    let activation = if kind == 0 { Activation::Silu } else { Activation::GeluTanh };
    let n = (n_tokens * size) as usize;
    // SAFETY: the caller's arena holds both ranges, apart.
    unsafe { gate::gate(slice_mut(out, n), slice(gate_up, 2 * n), size as usize, activation) }
}

/// Norms (weight not 0) and rotates `n_heads` heads of each token of x f32[n_tokens, stride] from
/// `column`; table f32[n_tokens, head_dim]; `style` 0 interleaved, 1 half.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn norm_rotate(
    x: u32,
    n_tokens: u32,
    stride: u32,
    column: u32,
    n_heads: u32,
    head_dim: u32,
    table: u32,
    style: u32,
    weight: u32,
    eps: f32,
) {
    let (stride, d) = (stride as usize, head_dim as usize);
    let (begin, len) = (column as usize, (n_heads * head_dim) as usize);
    let style = if style == 0 { RopeStyle::Interleaved } else { RopeStyle::Half };
    // SAFETY: the caller's arena holds the ranges, apart.
    let (x, table) = unsafe {
        (
            slice_mut::<f32>(x, n_tokens as usize * stride),
            slice::<f32>(table, n_tokens as usize * d),
        )
    };
    for (row, table) in x.chunks_exact_mut(stride).zip(table.chunks_exact(d)) {
        let heads = &mut row[begin..begin + len];
        if weight != 0 {
            // SAFETY: a norm's weight of head_dim elements, apart from x.
            norm::rms_norm_in_place(heads, unsafe { slice(weight, d) }, eps);
        }
        heads.chunks_exact_mut(d).for_each(|head| rope::rotate(head, table, style));
    }
}

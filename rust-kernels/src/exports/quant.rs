//! Block formats and f16 rows.

use crate::abi::{slice, slice_mut};
use crate::quant::f16::{narrow_f16, widen_f16};
use crate::quant::{TensorType, dequantize_row};
use wasm_bindgen::prelude::wasm_bindgen;

/// Blocks of ggml type `tensor_type` at `blocks` to `out` f32`[n]`; `n` is a multiple of the block
/// size. Returns false, and writes nothing, for a type that is not known.
#[wasm_bindgen]
pub fn dequantize(tensor_type: u32, blocks: u32, n: u32, out: u32) -> bool {
    let Some(tensor_type) = TensorType::from_id(tensor_type) else {
        return false;
    };
    let n = n as usize;
    // SAFETY: the caller allocated the blocks of n weights and n f32, apart from each other.
    let (blocks, out) = unsafe { (slice(blocks, tensor_type.row_bytes(n)), slice_mut(out, n)) };
    dequantize_row(tensor_type, blocks, out);
    true
}

/// f16 bits at `halves` u16`[n]` to `out` f32`[n]`, exact.
#[wasm_bindgen]
pub fn f16_to_f32(halves: u32, n: u32, out: u32) {
    // SAFETY: the caller allocated n u16 and n f32, apart from each other.
    let (halves, out) = unsafe { (slice(halves, n as usize), slice_mut(out, n as usize)) };
    widen_f16(halves, out);
}

/// `values` f32`[n]` to f16 bits at `out` u16`[n]`, ties to even.
#[wasm_bindgen]
pub fn f32_to_f16(values: u32, n: u32, out: u32) {
    // SAFETY: the caller allocated n f32 and n u16, apart from each other.
    let (values, out) = unsafe { (slice(values, n as usize), slice_mut(out, n as usize)) };
    narrow_f16(values, out);
}

//! What sampling needs of a row of logits.

use crate::abi::{slice, slice_mut};
use crate::sample;
use wasm_bindgen::prelude::wasm_bindgen;

/// The first index of the largest of `logits` f32`[n]`; NaN never wins.
#[wasm_bindgen]
pub fn arg_max(logits: u32, n: u32) -> u32 {
    // SAFETY: the caller allocated n f32.
    sample::arg_max::arg_max(unsafe { slice(logits, n as usize) }) as u32
}

/// The indices of the `k` largest of `logits` f32`[n]` to `tokens` u32`[k]`, descending, ties to
/// the lower index; `k <= n`. `heap` u64`[k]` is scratch.
#[wasm_bindgen]
pub fn top_k_logits(logits: u32, n: u32, k: u32, heap: u32, tokens: u32) {
    let (n, k) = (n as usize, k as usize);
    // SAFETY: the caller allocated the three arrays in these lengths, apart from each other.
    let (logits, heap, tokens) =
        unsafe { (slice(logits, n), slice_mut(heap, k), slice_mut(tokens, k)) };
    sample::top_k::top_k(logits, heap, tokens);
}

/// Softmax of `x` f32`[n]` in place.
#[wasm_bindgen]
pub fn softmax(x: u32, n: u32) {
    // SAFETY: the caller allocated n f32.
    sample::softmax::softmax(unsafe { slice_mut(x, n as usize) });
}

/// ln of the sum of e^x over `x` f32`[n]`.
#[wasm_bindgen]
pub fn log_sum_exp(x: u32, n: u32) -> f64 {
    // SAFETY: the caller allocated n f32.
    sample::softmax::log_sum_exp(unsafe { slice(x, n as usize) })
}

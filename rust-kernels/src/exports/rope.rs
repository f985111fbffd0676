//! Rotary position embedding's tables.

use crate::abi::{slice, slice_mut};
use crate::math::rope;
use wasm_bindgen::prelude::wasm_bindgen;

/// Frequencies to `out` f32`[n_pairs]`, radians a position: `base^(-i / n_pairs) / scale`, divided
/// by `factors` f32`[n_pairs]` where `n_factors` is not 0.
#[wasm_bindgen]
pub fn rope_frequencies(
    out: u32,
    n_pairs: u32,
    base: f64,
    scale: f32,
    factors: u32,
    n_factors: u32,
) {
    // SAFETY: the caller allocated both arrays in these lengths, apart from each other.
    let (out, factors) =
        unsafe { (slice_mut(out, n_pairs as usize), slice(factors, n_factors as usize)) };
    rope::rope_frequencies(out, base, scale, factors);
}

/// Cosines and sines, interleaved, to `out` f32`[n_tokens, 2 * n_pairs]` for the positions from
/// `first_position` on; `frequencies` is f32`[n_pairs]`.
#[wasm_bindgen]
pub fn rope_table(out: u32, frequencies: u32, n_pairs: u32, first_position: u32, n_tokens: u32) {
    let (n_pairs, n_tokens) = (n_pairs as usize, n_tokens as usize);
    // SAFETY: the caller allocated both arrays in these lengths, apart from each other.
    let (out, frequencies) =
        unsafe { (slice_mut(out, n_tokens * 2 * n_pairs), slice(frequencies, n_pairs)) };
    rope::rope_table(out, frequencies, first_position);
}

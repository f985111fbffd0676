//! Q2_K: 256 weights in 84 bytes, sixteen sub-blocks of 16 with
//! `weight = (scale * sub_scale) * code - (min_scale * sub_min)`.
//!
//! | byte | field                                                                   |
//! |------|-------------------------------------------------------------------------|
//! | 0    | 16 bytes: low nibble sub-scale, high nibble sub-min                     |
//! | 16   | 64 bytes, 32 for each half: bits 2q, 2q+1 of byte i are code 32q + i     |
//! | 80   | scale, f16                                                              |
//! | 82   | min_scale, f16                                                          |
//!
//! Source: ggml `block_q2_K`.

use super::f16::f16_at;
use super::nibbles::{bytes_at, scale_offset};
use std::array;

pub(super) const BLOCK_BYTES: usize = 84;

/// Blocks to f32 `[256 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(blocks) {
        let (scale, min_scale) = (f16_at(block, 80), f16_at(block, 82));
        let packed: [u8; 16] = bytes_at(block, 0);
        let scales: [f32; 16] = array::from_fn(|i| scale * f32::from(packed[i] & 15));
        let mins: [f32; 16] = array::from_fn(|i| -(min_scale * f32::from(packed[i] >> 4)));
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let bytes: [u8; 32] = bytes_at(block, 16 + 32 * half);
            for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                let codes: [u8; 32] = array::from_fn(|i| bytes[i] >> (2 * quarter) & 3);
                let (low, high) = (8 * half + 2 * quarter, 8 * half + 2 * quarter + 1);
                scale_offset(&mut out[..16], &codes[..16], scales[low], mins[low]);
                scale_offset(&mut out[16..], &codes[16..], scales[high], mins[high]);
            }
        }
    }
}

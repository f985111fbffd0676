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

pub(super) const BLOCK_BYTES: usize = 84;

/// Blocks to f32 `[256 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(blocks) {
        let (scale, min_scale) = (f16_at(block, 80), f16_at(block, 82));
        let packed: [u8; 16] = bytes_at(block, 0);
        let scales = packed.map(|byte| scale * f32::from(byte & 15));
        let mins = packed.map(|byte| -(min_scale * f32::from(byte >> 4)));
        for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let bytes: [u8; 32] = bytes_at(block, 16 + 32 * (quarter / 4));
            let codes = bytes.map(|byte| byte >> (2 * (quarter % 4)) & 3);
            let (low, high) = (2 * quarter, 2 * quarter + 1);
            scale_offset(&mut out[..16], &codes[..16], scales[low], mins[low]);
            scale_offset(&mut out[16..], &codes[16..], scales[high], mins[high]);
        }
    }
}

//! Q3_K: 256 weights in 110 bytes, sixteen sub-blocks of 16 with
//! `weight = (scale * (sub_scale - 32)) * (code - 4)`.
//!
//! | byte | field                                                                         |
//! |------|-------------------------------------------------------------------------------|
//! | 0    | 32 bytes: bit q of byte i is the third bit of code 32q + i                    |
//! | 32   | 64 bytes, 32 for each half: bits 2q, 2q+1 of byte i: low bits of code 32q + i  |
//! | 96   | 12 bytes: sixteen 6-bit sub-scales, low nibbles in 8 bytes, high bits in 4     |
//! | 108  | scale, f16                                                                    |
//!
//! Source: ggml `block_q3_K`.

use super::f16::f16_at;
use super::nibbles::{bytes_at, scale_centered};
use std::array;

pub(super) const BLOCK_BYTES: usize = 110;
type Block = [u8; BLOCK_BYTES];

#[inline(always)]
fn scales_of(block: &Block) -> [f32; 16] {
    let scale = f16_at(block, 108);
    let packed: [u8; 12] = bytes_at(block, 96);
    array::from_fn(|i| {
        let low = packed[i % 8] >> (4 * (i / 8)) & 15;
        let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        scale * f32::from((low | high << 4) as i8 - 32)
    })
}

/// Blocks to f32 `[256 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(blocks) {
        let scales = scales_of(block);
        let high: [u8; 32] = bytes_at(block, 0);
        for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low: [u8; 32] = bytes_at(block, 32 + 32 * (quarter / 4));
            let codes: [u8; 32] = array::from_fn(|i| {
                (low[i] >> (2 * (quarter % 4)) & 3) | (high[i] >> quarter & 1) << 2
            });
            scale_centered(&mut out[..16], &codes[..16], scales[2 * quarter], 4);
            scale_centered(&mut out[16..], &codes[16..], scales[2 * quarter + 1], 4);
        }
    }
}

//! Q8_0: 32 weights in 34 bytes, `weight = scale * code`.
//!
//! | byte | field        |
//! |------|--------------|
//! | 0    | scale, f16   |
//! | 2    | 32 codes, i8 |
//!
//! Source: ggml `block_q8_0`.

use super::f16::f16_at;
use super::nibbles::{bytes_at, scale_signed};

pub(super) const BLOCK_BYTES: usize = 34;

/// Blocks to f32 `[32 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(blocks) {
        scale_signed(out, &block[2..], f16_at(block, 0));
    }
}

/// Blocks to codes (bits of an i8) `[32 * n_blocks]`, scales and mins (all 0) `[n_blocks]`.
pub fn unpack_codes(blocks: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    let codes = codes.as_chunks_mut::<32>().0;
    for (((block, codes), scale), min) in blocks.iter().zip(codes).zip(scales).zip(mins) {
        *codes = bytes_at(block, 2);
        *scale = f16_at(block, 0);
        *min = 0.0;
    }
}

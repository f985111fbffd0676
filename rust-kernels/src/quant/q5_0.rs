//! Q5_0: 32 weights in 22 bytes, `weight = scale * (code - 16)`.
//!
//! | byte | field                                                     |
//! |------|-----------------------------------------------------------|
//! | 0    | scale, f16                                                |
//! | 2    | u32: bit i is the fifth bit of code i                     |
//! | 6    | 16 bytes: low nibble of code i, high nibble of code i+16  |
//!
//! Source: ggml `block_q5_0`.

use super::f16::f16_at;
use super::nibbles::{bytes_at, fifth_bits, scale_centered, split};
use std::array;

pub(super) const BLOCK_BYTES: usize = 22;
type Block = [u8; BLOCK_BYTES];

#[inline(always)]
fn codes_of(block: &Block) -> [u8; 32] {
    let low: [u8; 32] = split::<16, 32>(&block[6..]);
    let high = fifth_bits(bytes_at(block, 2));
    array::from_fn(|i| low[i] | high[i])
}

/// Blocks to f32 `[32 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(blocks) {
        scale_centered(out, &codes_of(block), f16_at(block, 0), 16);
    }
}

/// Blocks to codes 0..=31 `[32 * n_blocks]`, scales and mins `[n_blocks]`.
pub fn unpack_codes(blocks: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    let codes = codes.as_chunks_mut::<32>().0;
    for (((block, codes), scale), min) in blocks.iter().zip(codes).zip(scales).zip(mins) {
        *codes = codes_of(block);
        *scale = f16_at(block, 0);
        *min = -16.0 * *scale;
    }
}

//! Q4_0: 32 weights in 18 bytes, `weight = scale * (code - 8)`.
//!
//! | byte | field                                             |
//! |------|---------------------------------------------------|
//! | 0    | scale, f16                                        |
//! | 2    | 16 bytes: low nibble code i, high nibble code i+16 |
//!
//! Source: ggml `block_q4_0`.

use super::f16::f16_at;
use super::nibbles::{scale_centered, split};

pub(super) const BLOCK_BYTES: usize = 18;
type Block = [u8; BLOCK_BYTES];

#[inline(always)]
fn codes_of(block: &Block) -> [u8; 32] {
    split::<16, 32>(&block[2..])
}

/// Blocks to f32 `[32 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(blocks) {
        scale_centered(out, &codes_of(block), f16_at(block, 0), 8);
    }
}

/// Blocks to codes 0..=15 `[32 * n_blocks]`, scales and mins `[n_blocks]`.
pub fn unpack_codes(blocks: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    let codes = codes.as_chunks_mut::<32>().0;
    for (((block, codes), scale), min) in blocks.iter().zip(codes).zip(scales).zip(mins) {
        *codes = codes_of(block);
        *scale = f16_at(block, 0);
        *min = -8.0 * *scale;
    }
}

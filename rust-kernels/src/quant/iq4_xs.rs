//! IQ4_XS: 256 weights in 136 bytes, eight sub-blocks of 32 with
//! `weight = (scale * (sub_scale - 32)) * level`, the levels of IQ4_NL.
//!
//! | byte | field                                                                          |
//! |------|--------------------------------------------------------------------------------|
//! | 0    | scale, f16                                                                     |
//! | 2    | u16: bits 2s, 2s+1 are the high bits of sub-scale s                            |
//! | 4    | 4 bytes: low nibbles of the eight sub-scales                                   |
//! | 8    | 128 bytes, 16 for a sub-block: low nibble of code i, high nibble of code i+16  |
//!
//! Source: ggml `block_iq4_xs`.

use super::f16::f16_at;
use super::iq4_nl::levels_of;
use super::nibbles::scale_signed;

pub(super) const BLOCK_BYTES: usize = 136;

/// Blocks to f32 `[256 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(blocks) {
        let scale = f16_at(block, 0);
        let high_bits = u16::from_le_bytes([block[2], block[3]]);
        for (i, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low = block[4 + i / 2] >> (4 * (i % 2)) & 15;
            let high = (high_bits >> (2 * i) & 3) as u8;
            let scale = scale * f32::from((low | high << 4) as i8 - 32);
            scale_signed(out, &levels_of(&block[8 + 16 * i..][..16]), scale);
        }
    }
}

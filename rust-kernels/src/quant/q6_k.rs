//! Q6_K: 256 weights in 210 bytes, sixteen sub-blocks of 16 with
//! `weight = (scale * sub_scale) * (code - 32)`.
//!
//! | byte | field                                                                          |
//! |------|--------------------------------------------------------------------------------|
//! | 0    | 128 bytes, 64 for each half: low nibbles of codes 0..64 of the half, high 64..128 |
//! | 128  | 64 bytes, 32 for each half: bits 2q, 2q+1 of byte i: high bits of code 32q + i  |
//! | 192  | 16 sub-scales, i8                                                              |
//! | 208  | scale, f16                                                                     |
//!
//! Source: ggml `block_q6_K`.

use super::f16::f16_at;
use super::nibbles::{bytes_at, scale_centered, split};

pub(super) const BLOCK_BYTES: usize = 210;
type Block = [u8; BLOCK_BYTES];

#[inline(always)]
fn scales_of(block: &Block) -> [f32; 16] {
    let scale = f16_at(block, 208);
    bytes_at::<16>(block, 192).map(|sub_scale| scale * f32::from(sub_scale as i8))
}

/// The 128 codes of one half of a block.
#[inline(always)]
fn codes_of(block: &Block, half: usize) -> [u8; 128] {
    let mut codes = split::<64, 128>(&bytes_at::<64>(block, 64 * half));
    let high: [u8; 32] = bytes_at(block, 128 + 32 * half);
    for (quarter, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (code, high) in codes.iter_mut().zip(high) {
            *code |= (high >> (2 * quarter) & 3) << 4;
        }
    }
    codes
}

/// Blocks to f32 `[256 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(blocks) {
        let scales = scales_of(block);
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let codes = codes_of(block, half);
            let codes = codes.as_chunks::<16>().0;
            for ((out, codes), &scale) in
                out.as_chunks_mut::<16>().0.iter_mut().zip(codes).zip(&scales[8 * half..])
            {
                scale_centered(out, codes, scale, 32);
            }
        }
    }
}

/// Blocks to codes 0..=63 `[256 * n_blocks]`, scales and mins `[16 * n_blocks]`.
pub fn unpack_codes(blocks: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    let codes = codes.as_chunks_mut::<256>().0;
    let scales = scales.as_chunks_mut::<16>().0;
    let mins = mins.as_chunks_mut::<16>().0;
    for (((block, codes), scales), mins) in blocks.iter().zip(codes).zip(scales).zip(mins) {
        *scales = scales_of(block);
        *mins = scales.map(|scale| -32.0 * scale);
        for (half, codes) in codes.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            *codes = codes_of(block, half);
        }
    }
}

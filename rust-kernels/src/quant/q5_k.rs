//! Q5_K: 256 weights in 176 bytes, eight sub-blocks of 32 with
//! `weight = (scale * sub_scale) * code - (min_scale * sub_min)`.
//!
//! | byte | field                                                                      |
//! |------|----------------------------------------------------------------------------|
//! | 0    | scale, f16                                                                 |
//! | 2    | min_scale, f16                                                             |
//! | 4    | 12 bytes: eight 6-bit sub-scales and eight 6-bit sub-mins, as in Q4_K      |
//! | 16   | 32 bytes: bit s of byte i is the fifth bit of code i of sub-block s        |
//! | 48   | 128 bytes, 32 for a pair of sub-blocks: low nibbles 2p, high nibbles 2p+1   |
//!
//! Source: ggml `block_q5_K`.

use super::nibbles::{bytes_at, scale_offset, split};
use super::q4_k::scales_and_mins;

pub(super) const BLOCK_BYTES: usize = 176;
type Block = [u8; BLOCK_BYTES];

/// The 64 codes of sub-blocks 2 * pair and 2 * pair + 1.
#[inline(always)]
fn codes_of(block: &Block, pair: usize) -> [u8; 64] {
    let mut codes = split::<32, 64>(&bytes_at::<32>(block, 48 + 32 * pair));
    let high: [u8; 32] = bytes_at(block, 16);
    for (odd, codes) in codes.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (code, high) in codes.iter_mut().zip(high) {
            *code |= (high >> (2 * pair + odd) & 1) << 4;
        }
    }
    codes
}

/// Blocks to f32 `[256 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(blocks) {
        let (scales, mins) = scales_and_mins(block);
        for (pair, out) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            let codes = codes_of(block, pair);
            let (low, high) = (2 * pair, 2 * pair + 1);
            scale_offset(&mut out[..32], &codes[..32], scales[low], mins[low]);
            scale_offset(&mut out[32..], &codes[32..], scales[high], mins[high]);
        }
    }
}

/// Blocks to codes 0..=31 `[256 * n_blocks]`, scales and mins `[8 * n_blocks]`.
pub fn unpack_codes(blocks: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    let codes = codes.as_chunks_mut::<256>().0;
    let scales = scales.as_chunks_mut::<8>().0;
    let mins = mins.as_chunks_mut::<8>().0;
    for (((block, codes), scales), mins) in blocks.iter().zip(codes).zip(scales).zip(mins) {
        (*scales, *mins) = scales_and_mins(block);
        for (pair, codes) in codes.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            *codes = codes_of(block, pair);
        }
    }
}

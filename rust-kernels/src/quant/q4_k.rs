//! Q4_K: 256 weights in 144 bytes, eight sub-blocks of 32 with
//! `weight = (scale * sub_scale) * code - (min_scale * sub_min)`.
//!
//! | byte | field                                                                    |
//! |------|--------------------------------------------------------------------------|
//! | 0    | scale, f16                                                               |
//! | 2    | min_scale, f16                                                           |
//! | 4    | 12 bytes: eight 6-bit sub-scales and eight 6-bit sub-mins                |
//! | 16   | 128 bytes, 32 for a pair of sub-blocks: low nibbles 2p, high nibbles 2p+1 |
//!
//! Source: ggml `block_q4_K`, `get_scale_min_k4`.

use super::f16::f16_at;
use super::nibbles::{bytes_at, scale_offset, split};

pub(super) const BLOCK_BYTES: usize = 144;
type Block = [u8; BLOCK_BYTES];

/// Scale and min `[8]` of the sub-blocks from a block's first 16 bytes; `weight = scale * code +
/// min`. Q5_K has the same header.
#[inline(always)]
pub(super) fn scales_and_mins<const N: usize>(block: &[u8; N]) -> ([f32; 8], [f32; 8]) {
    let (scale, min_scale) = (f16_at(block, 0), f16_at(block, 2));
    let packed: [u8; 12] = bytes_at(block, 4);
    let (mut scales, mut mins) = ([0.0; 8], [0.0; 8]);
    for i in 0..4 {
        let (low, mid, high) = (packed[i], packed[i + 4], packed[i + 8]);
        scales[i] = scale * f32::from(low & 63);
        mins[i] = -(min_scale * f32::from(mid & 63));
        scales[i + 4] = scale * f32::from((high & 15) | (low >> 2 & 48));
        mins[i + 4] = -(min_scale * f32::from((high >> 4) | (mid >> 2 & 48)));
    }
    (scales, mins)
}

/// The 64 codes of sub-blocks 2 * pair and 2 * pair + 1.
#[inline(always)]
fn codes_of(block: &Block, pair: usize) -> [u8; 64] {
    split::<32, 64>(&bytes_at::<32>(block, 16 + 32 * pair))
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

/// Blocks to codes 0..=15 `[256 * n_blocks]`, scales and mins `[8 * n_blocks]`.
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

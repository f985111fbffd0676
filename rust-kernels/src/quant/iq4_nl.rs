//! IQ4_NL: 32 weights in 18 bytes, `weight = scale * LEVELS[code]`.
//!
//! | byte | field                                             |
//! |------|---------------------------------------------------|
//! | 0    | scale, f16                                        |
//! | 2    | 16 bytes: low nibble code i, high nibble code i+16 |
//!
//! Source: ggml `block_iq4_nl`, `kvalues_iq4nl`.

use super::f16::f16_at;
use super::nibbles::{scale_signed, split};

pub(super) const BLOCK_BYTES: usize = 18;
type Block = [u8; BLOCK_BYTES];

/// The 16 levels that a code stands for, as bits of an i8.
const LEVELS: [u8; 16] = [
    -127i8 as u8,
    -104i8 as u8,
    -83i8 as u8,
    -65i8 as u8,
    -49i8 as u8,
    -35i8 as u8,
    -22i8 as u8,
    -10i8 as u8,
    1,
    13,
    25,
    38,
    53,
    69,
    89,
    113,
];

/// Replaces 16 bytes of nibbles by 32 levels.
#[inline(always)]
pub(super) fn levels_of(nibbles: &[u8]) -> [u8; 32] {
    split::<16, 32>(nibbles).map(|code| LEVELS[usize::from(code & 15)])
}

/// Blocks to f32 `[32 * n_blocks]`.
pub fn dequantize(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(blocks) {
        scale_signed(out, &levels_of(&block[2..]), f16_at(block, 0));
    }
}

/// Blocks to levels (bits of an i8) `[32 * n_blocks]`, scales and mins (all 0) `[n_blocks]`.
pub fn unpack_codes(blocks: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let blocks: &[Block] = blocks.as_chunks::<BLOCK_BYTES>().0;
    let codes = codes.as_chunks_mut::<32>().0;
    for (((block, codes), scale), min) in blocks.iter().zip(codes).zip(scales).zip(mins) {
        *codes = levels_of(&block[2..]);
        *scale = f16_at(block, 0);
        *min = 0.0;
    }
}

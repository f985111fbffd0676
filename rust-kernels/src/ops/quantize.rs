//! Activations to int8 per block of 32, in the order in which the packed matrices read them.
//!
//! q = round_half_even(x * (127 / max|x|)), scale = max|x| / 127, per token and block.
//!
//! Tokens go in tiles of [`TILE`], what is left over singly. A tile of `t` tokens holds per block
//! the groups of ops/block_dot.rs, four bytes a token, token innermost:
//!
//! | form   | group         | columns                                                            |
//! |--------|---------------|--------------------------------------------------------------------|
//! | wide   | 4j + e, 0..16 | (4j, 4j+2), (16+4j, 18+4j), (4j+1, 4j+3), (17+4j, 19+4j) for e 0..4 |
//! | narrow | 2j + h, 0..8  | 16h + 4j and the three after it                                     |
use super::block_dot::GROUP_BYTES;
use crate::lanes::F32x4;
use crate::quant::packed::BLOCK;

/// Tokens that share one pass over a panel: as many as the registers hold.
pub const TILE: usize = if cfg!(target_feature = "relaxed-simd") { 6 } else { 4 };

/// Quantised activations of `n_tokens` tokens.
pub struct Quantized<'a> {
    /// Codes of one form, tiled.
    pub codes: &'a [u8],
    /// f32[n_tokens * n_blocks, 2]: scale, and scale times the block's sum; token innermost in a tile.
    pub scales: &'a [f32],
    /// i32[n_tokens * n_blocks, 2]: sums of the first and the second 16 codes.
    pub sums: &'a [i32],
}

/// Bytes of the codes of `n` activations.
pub fn code_bytes(n: usize, is_narrow: bool) -> usize {
    if is_narrow { n } else { 2 * n }
}

/// Fills the three arrays of [`Quantized`] from `x` f32[n_tokens, n_cols].
pub fn quantize(
    codes: &mut [u8],
    scales: &mut [f32],
    sums: &mut [i32],
    x: &[f32],
    n_cols: usize,
    is_narrow: bool,
) {
    let (n_blocks, n_tokens) = (n_cols / BLOCK, x.len() / n_cols);
    let block_bytes = code_bytes(BLOCK, is_narrow);
    for (token, row) in x.chunks_exact(n_cols).enumerate() {
        let (first, width) = tile_of(token, n_tokens);
        let lane = token - first;
        for (b, block) in row.chunks_exact(BLOCK).enumerate() {
            let at = 2 * (first * n_blocks + b * width + lane);
            let base = (first * n_blocks + b * width) * block_bytes;
            let tile = &mut codes[base..base + width * block_bytes];
            let (q, scale) = round_block(block);
            if is_narrow {
                put_narrow(tile, &q, width, lane);
            } else {
                put_wide(tile, &q, width, lane);
            }
            let low: i32 = q[..16].iter().map(|&q| i32::from(q)).sum();
            let high: i32 = q[16..].iter().map(|&q| i32::from(q)).sum();
            scales[at..at + 2].copy_from_slice(&[scale, scale * (low + high) as f32]);
            sums[at..at + 2].copy_from_slice(&[low, high]);
        }
    }
}

/// First token and width of the tile that `token` lies in.
fn tile_of(token: usize, n_tokens: usize) -> (usize, usize) {
    let n_tiled = n_tokens - n_tokens % TILE;
    if token < n_tiled { (token - token % TILE, TILE) } else { (token, 1) }
}

/// Codes and scale of a block.
#[inline(always)]
fn round_block(block: &[f32]) -> ([i8; BLOCK], f32) {
    let mut largest = F32x4::splat(0.0);
    for i in 0..8 {
        largest = largest.max(F32x4::load(block, 4 * i).abs());
    }
    let largest = largest.max_lane();
    let mut q = [0i8; BLOCK];
    if !(largest > 0.0) {
        return (q, 0.0);
    }
    let factor = F32x4::splat(127.0 / largest);
    for i in 0..8 {
        let lanes = F32x4::load(block, 4 * i).mul(factor).round_even().to_i32().lanes();
        for (q, lane) in q[4 * i..4 * i + 4].iter_mut().zip(lanes) {
            *q = lane as i8;
        }
    }
    (q, largest / 127.0)
}

#[inline(always)]
fn put_narrow(tile: &mut [u8], q: &[i8; BLOCK], width: usize, lane: usize) {
    for group in 0..8 {
        let column = 16 * (group % 2) + 4 * (group / 2);
        let at = GROUP_BYTES * (group * width + lane);
        for i in 0..4 {
            tile[at + i] = q[column + i] as u8;
        }
    }
}

#[inline(always)]
fn put_wide(tile: &mut [u8], q: &[i8; BLOCK], width: usize, lane: usize) {
    for group in 0..16 {
        let (j, e) = (group / 4, group % 4);
        let column = 4 * j + e / 2 + 16 * (e % 2);
        let at = GROUP_BYTES * (group * width + lane);
        let pair = [i16::from(q[column]), i16::from(q[column + 2])];
        tile[at..at + 2].copy_from_slice(&pair[0].to_le_bytes());
        tile[at + 2..at + 4].copy_from_slice(&pair[1].to_le_bytes());
    }
}

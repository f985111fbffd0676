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
use crate::lanes::{F32x4, I8x16, I16x8, I32x4};
use crate::quant::packed::BLOCK;

/// Tokens that share one pass over a panel: as many as the registers hold.
pub const TILE: usize = if cfg!(target_feature = "relaxed-simd") { 6 } else { 4 };

/// Quantised activations of `n_tokens` tokens.
pub struct Quantized<'a> {
    /// Codes of one form, tiled.
    pub codes: &'a [u8],
    /// f32[n_tokens * n_blocks, 2]: scale, and scale times the block's sum; token innermost in a tile.
    pub scales: &'a [f32],
    /// i32[n_tokens * n_blocks, 2]: sums of a block's codes, and of its second 16.
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
            let half = |h: usize| q[4 * h].add(q[4 * h + 1]).add(q[4 * h + 2].add(q[4 * h + 3]));
            let (low, high) = (half(0).sum(), half(1).sum());
            scales[at..at + 2].copy_from_slice(&[scale, scale * (low + high) as f32]);
            sums[at..at + 2].copy_from_slice(&[low + high, high]);
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
fn round_block(block: &[f32]) -> ([I32x4; 8], f32) {
    let mut largest = F32x4::splat(0.0);
    for i in 0..8 {
        largest = largest.max(F32x4::load(block, 4 * i).abs());
    }
    let largest = largest.max_lane();
    if !(largest > 0.0) {
        return ([I32x4::splat(0); 8], 0.0);
    }
    let factor = F32x4::splat(127.0 / largest);
    let q = core::array::from_fn(|i| F32x4::load(block, 4 * i).mul(factor).round_even().to_i32());
    (q, largest / 127.0)
}

/// Half h's word j is group 2j + h.
#[inline(always)]
fn put_narrow(tile: &mut [u8], q: &[I32x4; 8], width: usize, lane: usize) {
    for h in 0..2 {
        let [a, b] = [0, 2].map(|i| I16x8::narrow(q[4 * h + i], q[4 * h + i + 1]));
        for (j, word) in I8x16::narrow(a, b).words().into_iter().enumerate() {
            put(tile, (2 * j + h) * width + lane, word);
        }
    }
}

/// Words of eight columns: (4j, 4j+2), (4j+1, 4j+3), and of j + 1: operands e = h and e = 2 + h.
#[inline(always)]
fn put_wide(tile: &mut [u8], q: &[I32x4; 8], width: usize, lane: usize) {
    for h in 0..2 {
        for i in 0..2 {
            let pairs = I16x8::narrow(q[4 * h + 2 * i], q[4 * h + 2 * i + 1]).swap_middle();
            for (w, word) in pairs.words().into_iter().enumerate() {
                let (j, e) = (2 * i + w / 2, 2 * (w % 2) + h);
                put(tile, (4 * j + e) * width + lane, word);
            }
        }
    }
}

#[inline(always)]
fn put(tile: &mut [u8], group: usize, word: u32) {
    let at = GROUP_BYTES * group;
    tile[at..at + GROUP_BYTES].copy_from_slice(&word.to_le_bytes());
}

/// Whether one channel holds more than half of the energy of `x`: a massive activation (Sun et al.
/// 2024, arXiv:2402.17762). Such a token's other channels share a block's scale with it, and what
/// int8 rounds away there moves everything after.
pub fn is_peaked(x: &[f32]) -> bool {
    let (mut largest, mut energy) = (F32x4::splat(0.0), 0f64);
    for block in x.chunks_exact(BLOCK) {
        let mut sum = F32x4::splat(0.0);
        for i in 0..8 {
            let x = F32x4::load(block, 4 * i);
            largest = largest.max(x.abs());
            sum = x.mul_add(x, sum);
        }
        energy += f64::from(sum.sum());
    }
    let largest = f64::from(largest.max_lane());
    largest * largest > 0.5 * energy
}

/// out = what quantising `x` f32[n_cols] leaves: x - scale code.
pub fn residual(out: &mut [f32], x: &[f32]) {
    for (out, block) in out.chunks_exact_mut(BLOCK).zip(x.chunks_exact(BLOCK)) {
        let (codes, scale) = round_block(block);
        for (i, code) in codes.into_iter().enumerate() {
            let rounded = code.to_f32().mul(F32x4::splat(scale));
            F32x4::load(block, 4 * i).sub(rounded).store(out, 4 * i);
        }
    }
}

//! Activations to int8 per block of 32, in the order in which the packed matrices read them.
//!
//! q = round_half_even(x * (127 / max|x|)), scale = max|x| / 127, per token and block.
//!
//! Tokens go in tiles of eight. A rest of up to three goes singly, one of four is a tile of its own;
//! one of five or more leaves the last places of a tile of eight empty. A tile holds per block the
//! steps of ops/block_dot.rs, four bytes a token, token innermost; scales and sums likewise.
use super::block_dot::STEP_BYTES;
use crate::lanes::{F32x4, I8x16, I16x8, I32x4};
use crate::quant::packed::BLOCK;

/// Quantised activations, of as many tokens as [`padded`] says.
pub struct Quantized<'a> {
    /// Codes of one form, tiled.
    pub codes: &'a [u8],
    /// f32[tiles, n_blocks, 2, tokens of a tile]: scale, and scale times the block's sum.
    pub scales: &'a [f32],
    /// i32[tiles, n_blocks, 2, tokens of a tile]: sums of a block's codes, and of its second 16.
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
    if padded(n_tokens) > n_tokens {
        let first = (n_tokens - n_tokens % 8) * n_blocks;
        codes[first * block_bytes..].fill(0);
        scales[2 * first..].fill(0.0);
        sums[2 * first..].fill(0);
    }
    for (token, row) in x.chunks_exact(n_cols).enumerate() {
        let (first, width) = tile_of(token, n_tokens);
        let lane = token - first;
        for (b, block) in row.chunks_exact(BLOCK).enumerate() {
            let base = first * n_blocks + b * width;
            let at = 2 * base + lane;
            let base = base * block_bytes;
            let tile = &mut codes[base..base + width * block_bytes];
            let (q, scale) = round_block(block);
            if is_narrow {
                put_narrow(tile, &q, width, lane);
            } else {
                put_wide(tile, &q, width, lane);
            }
            let half = |h: usize| q[4 * h].add(q[4 * h + 1]).add(q[4 * h + 2].add(q[4 * h + 3]));
            let (low, high) = (half(0).sum(), half(1).sum());
            (scales[at], scales[at + width]) = (scale, scale * (low + high) as f32);
            (sums[at], sums[at + width]) = (low + high, high);
        }
    }
}

/// Width of the tile that begins `n_tokens` before the end.
fn width(n_tokens: usize) -> usize {
    match n_tokens {
        0..=3 => 1,
        4 => 4,
        _ => 8,
    }
}

/// First token and width of each tile of `n_tokens`.
pub fn tiles(n_tokens: usize) -> impl Iterator<Item = (usize, usize)> {
    let after = move |first: usize| {
        let left = n_tokens.saturating_sub(first);
        (left > 0).then(|| (first, width(left)))
    };
    core::iter::successors(after(0), move |&(first, width)| after(first + width))
}

/// Tokens that the tiles of `n_tokens` have place for.
pub fn padded(n_tokens: usize) -> usize {
    let whole = n_tokens - n_tokens % 8;
    match n_tokens % 8 {
        rest @ 0..=3 => whole + rest,
        rest => whole + width(rest),
    }
}

/// First token and width of the tile that `token` lies in.
fn tile_of(token: usize, n_tokens: usize) -> (usize, usize) {
    let first = token - token % 8;
    match width(n_tokens - first) {
        1 => (token, 1),
        width => (first, width),
    }
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

/// Half h's word j is step 4h + j.
#[inline(always)]
fn put_narrow(tile: &mut [u8], q: &[I32x4; 8], width: usize, lane: usize) {
    for h in 0..2 {
        let [a, b] = [0, 2].map(|i| I16x8::narrow(q[4 * h + i], q[4 * h + i + 1]));
        for (j, word) in I8x16::narrow(a, b).words().into_iter().enumerate() {
            put(tile, (4 * h + j) * width + lane, word);
        }
    }
}

/// Words of eight columns: (4j, 4j+2), (4j+1, 4j+3), and of j + 1: steps 8h + 2j, + 1, + 2, + 3.
#[inline(always)]
fn put_wide(tile: &mut [u8], q: &[I32x4; 8], width: usize, lane: usize) {
    for h in 0..2 {
        for i in 0..2 {
            let pairs = I16x8::narrow(q[4 * h + 2 * i], q[4 * h + 2 * i + 1]).swap_middle();
            for (w, word) in pairs.words().into_iter().enumerate() {
                put(tile, (8 * h + 4 * i + w) * width + lane, word);
            }
        }
    }
}

#[inline(always)]
fn put(tile: &mut [u8], step: usize, word: u32) {
    let at = STEP_BYTES * step;
    tile[at..at + STEP_BYTES].copy_from_slice(&word.to_le_bytes());
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

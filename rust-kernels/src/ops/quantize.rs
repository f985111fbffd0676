//! Activations to int8 per block of 32, in the order in which the packed matrices read them.
//!
//! q = round_half_even(x * (127 / max|x|)), scale = max|x| / 127, per token and block.
//!
//! Tokens go in tiles of [`TILE`], what is left over singly. A tile of `t` tokens holds per block
//! 16 groups of `t` pairs: pair order as the operands of `quant/packed.rs`, token innermost.
use crate::lanes::F32x4;
use crate::quant::packed::BLOCK;

/// Tokens that share one pass over a panel.
pub const TILE: usize = 4;

/// Columns of the 32 codes of a block, in stored order.
const COLUMNS: [usize; BLOCK] = columns();

const fn columns() -> [usize; BLOCK] {
    let mut order = [0; BLOCK];
    let mut g = 0;
    while g < 16 {
        let (j, e) = (g / 4, g % 4);
        let first = 4 * j + e / 2 + 16 * (e % 2);
        order[2 * g] = first;
        order[2 * g + 1] = first + 2;
        g += 1;
    }
    order
}

/// Quantised activations of `n_tokens` tokens.
pub struct Quantized<'a> {
    /// i16[n_tokens, n_cols], tiled.
    pub codes: &'a [i16],
    /// f32[n_tokens * n_blocks, 2]: scale, and scale times the block's sum; token innermost in a tile.
    pub scales: &'a [f32],
    /// i32[n_tokens * n_blocks, 2]: sums of the first and the second 16 codes.
    pub sums: &'a [i32],
}

/// Fills the three arrays of [`Quantized`] from `x` f32[n_tokens, n_cols].
pub fn quantize(
    codes: &mut [i16],
    scales: &mut [f32],
    sums: &mut [i32],
    x: &[f32],
    n_tokens: usize,
    n_cols: usize,
) {
    let n_blocks = n_cols / BLOCK;
    for token in 0..n_tokens {
        let (first, width) = tile_of(token, n_tokens);
        let lane = token - first;
        let row = &x[token * n_cols..(token + 1) * n_cols];
        for (b, block) in row.chunks_exact(BLOCK).enumerate() {
            let at = (first * n_blocks) + b * width + lane;
            let base = first * n_cols + b * width * BLOCK;
            let (scale, low, high) = quantize_block(block, |g, pair| {
                let at = base + 2 * (g * width + lane);
                codes[at..at + 2].copy_from_slice(&pair);
            });
            scales[2 * at] = scale;
            scales[2 * at + 1] = scale * (low + high) as f32;
            sums[2 * at] = low;
            sums[2 * at + 1] = high;
        }
    }
}

/// First token and width of the tile that `token` lies in.
pub fn tile_of(token: usize, n_tokens: usize) -> (usize, usize) {
    let n_tiled = n_tokens - n_tokens % TILE;
    if token < n_tiled { (token - token % TILE, TILE) } else { (token, 1) }
}

#[inline(always)]
fn quantize_block(block: &[f32], mut put: impl FnMut(usize, [i16; 2])) -> (f32, i32, i32) {
    let mut largest = F32x4::splat(0.0);
    for i in 0..8 {
        largest = largest.max(F32x4::load(block, 4 * i).abs());
    }
    let largest = largest.max_lane();
    if !(largest > 0.0) {
        for g in 0..16 {
            put(g, [0, 0]);
        }
        return (0.0, 0, 0);
    }
    let factor = F32x4::splat(127.0 / largest);
    let mut q = [0i32; BLOCK];
    for i in 0..8 {
        let lanes = F32x4::load(block, 4 * i).mul(factor).round_even().to_i32().lanes();
        q[4 * i..4 * i + 4].copy_from_slice(&lanes);
    }
    for g in 0..16 {
        put(g, [q[COLUMNS[2 * g]] as i16, q[COLUMNS[2 * g + 1]] as i16]);
    }
    (largest / 127.0, q[..16].iter().sum(), q[16..].iter().sum())
}

//! What methods ask for beside attention: sums over queries before rotation, rows moved to other
//! positions, norms of values after the output projection. Every sum has one order.
use crate::cache_rows::{Codec, MAX_HEAD_DIM};
use crate::lanes::F32x4;
use crate::ops::rope::RopeStyle;

/// Rows of a tile of values.
const TILE: usize = 64;

/// Channels of pair `i`.
fn pair(style: RopeStyle, i: usize, d: usize) -> (usize, usize) {
    match style {
        RopeStyle::Interleaved => (2 * i, 2 * i + 1),
        RopeStyle::Half => (i, i + d / 2),
    }
}

/// Turns rows [n, d] from `positions` u32[n] to `targets` u32[n] and writes those to `positions`:
/// k' = k rotated by (target - position) * frequency, the angle in f64. Rows that stay keep their
/// bits. `frequencies` f32[d / 2].
pub fn rotate_rows<C: Codec>(
    rows: &mut [C::Unit],
    positions: &mut [u32],
    targets: &[u32],
    frequencies: &[f32],
    style: RopeStyle,
) {
    let d = 2 * frequencies.len();
    let mut vector = [0f32; MAX_HEAD_DIM];
    let vector = &mut vector[..d];
    let rows = rows.chunks_exact_mut(C::row_len(d));
    for ((row, position), &target) in rows.zip(positions).zip(targets) {
        if *position == target {
            continue;
        }
        C::decode(vector, row);
        let distance = f64::from(target) - f64::from(*position);
        for (i, &frequency) in frequencies.iter().enumerate() {
            let angle = distance * f64::from(frequency);
            let (cos, sin) = (angle.cos() as f32, angle.sin() as f32);
            let (a, b) = pair(style, i, d);
            let (x, y) = (vector[a], vector[b]);
            vector[a] = x * cos - y * sin;
            vector[b] = x * sin + y * cos;
        }
        C::encode(row, vector);
        *position = target;
    }
}

/// Tokens that one pass over the products takes.
const TOKENS: usize = 4;

/// f32 elements of scratch that [`query_sums`] needs.
pub fn query_sums_scratch_len(d: usize) -> usize {
    TOKENS * d
}

/// Adds to sums f64[d] and products f64[d, d] (j >= i alone) the queries of one head before their
/// rotation, token by token: q and q q^T. `q` holds a token's query at the start of each `stride`;
/// `table` f32[n_tokens, d] as in `rope::rotate`.
pub fn query_sums(
    sums: &mut [f64],
    products: &mut [f64],
    q: &[f32],
    stride: usize,
    table: &[f32],
    style: RopeStyle,
    scratch: &mut [f32],
) {
    let d = sums.len();
    let n_tokens = table.len() / d;
    for first in (0..n_tokens).step_by(TOKENS) {
        let n = TOKENS.min(n_tokens - first);
        for t in 0..n {
            let raw = &mut scratch[t * d..(t + 1) * d];
            unrotate(raw, &q[(first + t) * stride..][..d], &table[(first + t) * d..][..d], style);
            sums.iter_mut().zip(raw.iter()).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        match n {
            4 => add_products::<4>(products, scratch, d),
            3 => add_products::<3>(products, scratch, d),
            2 => add_products::<2>(products, scratch, d),
            _ => add_products::<1>(products, scratch, d),
        }
    }
}

fn unrotate(out: &mut [f32], q: &[f32], table: &[f32], style: RopeStyle) {
    let d = q.len();
    for (i, angle) in table.chunks_exact(2).enumerate() {
        let (a, b) = pair(style, i, d);
        out[a] = q[a] * angle[0] + q[b] * angle[1];
        out[b] = q[b] * angle[0] - q[a] * angle[1];
    }
}

fn add_products<const N: usize>(products: &mut [f64], raw: &[f32], d: usize) {
    for i in 0..d {
        let factors: [f64; N] = core::array::from_fn(|t| f64::from(raw[t * d + i]));
        let columns: [&[f32]; N] = core::array::from_fn(|t| &raw[t * d + i..(t + 1) * d]);
        for (j, product) in products[i * d + i..(i + 1) * d].iter_mut().enumerate() {
            for t in 0..N {
                *product += factors[t] * f64::from(columns[t][j]);
            }
        }
    }
}

/// f32 elements of scratch that [`add_output_norms`] needs.
pub fn output_norms_scratch_len(d: usize) -> usize {
    TILE * d
}

/// Adds to norms f32[n_rows] the sum over rows w of `weight` f32[.., stride] from `column` of
/// |w . v| for each row v of values [n_rows, d]; weights are added in fours.
pub fn add_output_norms<C: Codec>(
    norms: &mut [f32],
    values: &[C::Unit],
    d: usize,
    weight: &[f32],
    stride: usize,
    column: usize,
    scratch: &mut [f32],
) {
    let part = |row: usize| &weight[row * stride + column..][..d];
    for (tile, norms) in norms.chunks_mut(TILE).enumerate() {
        load_columns::<C>(scratch, &values[tile * TILE * C::row_len(d)..], d, norms.len());
        let mut row = 0;
        let n = weight.len() / stride;
        while row < n {
            if n - row >= 4 {
                add_tile::<4>(norms, scratch, core::array::from_fn(|i| part(row + i)));
                row += 4;
            } else {
                add_tile::<1>(norms, scratch, [part(row)]);
                row += 1;
            }
        }
    }
}

/// The first `n` rows to f32[d, TILE], zeros after them.
fn load_columns<C: Codec>(tile: &mut [f32], values: &[C::Unit], d: usize, n: usize) {
    let mut vector = [0f32; MAX_HEAD_DIM];
    let vector = &mut vector[..d];
    tile[..TILE * d].fill(0.0);
    for (row, values) in values.chunks_exact(C::row_len(d)).take(n).enumerate() {
        C::decode(vector, values);
        for (i, &x) in vector.iter().enumerate() {
            tile[i * TILE + row] = x;
        }
    }
}

#[inline(always)]
fn add_tile<const N: usize>(norms: &mut [f32], tile: &[f32], weights: [&[f32]; N]) {
    for row in (0..norms.len()).step_by(8) {
        let mut sums = [[F32x4::splat(0.0); 2]; N];
        for (i, column) in tile.chunks_exact(TILE).enumerate() {
            let v = [F32x4::load(column, row), F32x4::load(column, row + 4)];
            for (sums, weight) in sums.iter_mut().zip(weights) {
                let x = F32x4::splat(weight[i]);
                sums[0] = x.mul_add(v[0], sums[0]);
                sums[1] = x.mul_add(v[1], sums[1]);
            }
        }
        for half in 0..2 {
            let mut total = F32x4::splat(0.0);
            for sums in &sums {
                total = total.add(sums[half].abs());
            }
            let at = row + 4 * half;
            for (norm, sum) in norms.iter_mut().skip(at).take(4).zip(total.lanes()) {
                *norm += sum;
            }
        }
    }
}

//! Attention of one token over rows of codec q8, read where they lie; the integers of `bytes`.
use super::bytes::{add_sum, code, factors, largest, score, weigh_codes};
use super::single::{HEADS, Tile, tiles};
use super::{Queries, SPLIT, Sums, TILE};
use crate::abi::{as_bytes, as_bytes_mut};
use crate::cache_rows::{Codec, HeadRows, Q8};
use crate::lanes::{F32x4, I16x8, I32x4};
use core::ops::Range;

/// What a pass reads and where it works.
struct Pass<'a> {
    rows: &'a HeadRows<'a, Q8>,
    queries: Queries,
    /// i16[queries, d].
    codes: &'a [u8],
    /// f32[queries]: worth of a query's code, times the factor on q.k.
    scales: &'a [f32],
    /// f32[HEADS, TILE].
    weights: &'a mut [f32],
    /// i16[HEADS, TILE].
    weight_codes: &'a mut [u8],
}

pub(super) fn attend(
    sums: &mut Sums<'_>,
    q: &[f32],
    rows: &HeadRows<'_, Q8>,
    queries: Queries,
    range: Range<usize>,
    scratch: &mut [f32],
) {
    let (n, d) = (queries.len(), queries.head_dim);
    let (weights, rest) = scratch.split_at_mut(HEADS * TILE);
    let (weight_codes, rest) = rest.split_at_mut(HEADS * TILE / 2);
    let (codes, rest) = rest.split_at_mut(n * d / 2);
    let scales = &mut rest[..n];
    let bytes = as_bytes_mut(codes);
    for query in 0..n {
        let vector = queries.vector(q, query);
        let (factor, scale) = factors(largest(vector));
        scales[query] = scale * queries.scale;
        for (i, x) in vector.iter().enumerate() {
            let at = 2 * (query * d + i);
            bytes[at..at + 2].copy_from_slice(&code(*x, factor).to_le_bytes());
        }
    }
    let weight_codes = as_bytes_mut(weight_codes);
    let mut pass = Pass { rows, queries, codes: as_bytes(codes), scales, weights, weight_codes };
    let begin = range.start;
    for tile in tiles(queries, rows.positions, range) {
        if tile.first % SPLIT == 0 && tile.first > begin {
            sums.close(queries);
        }
        if tile.visible.0 >= tile.visible.1 {
            continue;
        }
        let mut query = 0;
        while query < n {
            let width = (n - query).min(HEADS);
            match width {
                3 => pass.run::<3>(sums, &tile, query),
                2 => pass.run::<2>(sums, &tile, query),
                _ => pass.run::<1>(sums, &tile, query),
            }
            query += width;
        }
    }
}

impl Pass<'_> {
    fn run<const N: usize>(&mut self, sums: &mut Sums<'_>, tile: &Tile, query: usize) {
        let (d, queries) = (self.queries.head_dim, self.queries);
        let len = Q8::row_len(d);
        let own = tile.first * len..(tile.first + tile.n_rows) * len;
        self.scores::<N>(&self.rows.keys[own.clone()], query);
        let values = &self.rows.values[own];
        let mut row_scales = [0f32; TILE];
        for (row, scale) in row_scales.iter_mut().take(tile.n_rows).enumerate() {
            *scale = Q8::row(values, d, row).1;
        }
        let mut factors = [F32x4::splat(1.0); N];
        let mut scales = [F32x4::splat(0.0); N];
        for n in 0..N {
            let weights = &mut self.weights[n * TILE..(n + 1) * TILE];
            factors[n] = sums.running.weigh(query + n, weights, tile.visible);
            let codes = &mut self.weight_codes[2 * TILE * n..2 * TILE * (n + 1)];
            scales[n] = weigh_codes(codes, weights, &row_scales);
        }
        let at: [usize; N] = core::array::from_fn(|n| queries.at(query + n, sums.part.stride, 0));
        for column in (0..d).step_by(8) {
            let products = self.sums::<N>(values, column);
            for (n, products) in products.into_iter().enumerate() {
                for (j, sum) in products.into_iter().enumerate() {
                    add_sum(sums.part.out, at[n] + column + 4 * j, sum, factors[n], scales[n]);
                }
            }
        }
    }

    /// weights f32[N, TILE] = scores of the rows in `keys`.
    #[inline(always)]
    fn scores<const N: usize>(&mut self, keys: &[u8], query: usize) {
        let d = self.queries.head_dim;
        let len = Q8::row_len(d);
        let codes: [&[u8]; N] =
            core::array::from_fn(|n| &self.codes[2 * d * (query + n)..2 * d * (query + n + 1)]);
        let n_rows = keys.len() / len;
        for row in (0..n_rows).step_by(4) {
            let last = n_rows - 1;
            let rows: [(&[u8], f32); 4] =
                core::array::from_fn(|r| Q8::row(keys, d, (row + r).min(last)));
            let mut sums = [[I32x4::splat(0); 4]; N];
            for i in (0..d).step_by(8) {
                let x: [I16x8; N] = core::array::from_fn(|n| I16x8::load(codes[n], 2 * i));
                for (r, (row, _)) in rows.iter().enumerate() {
                    let k = I16x8::load_bytes(row, i);
                    for n in 0..N {
                        sums[n][r] = sums[n][r].add(k.dot(x[n]));
                    }
                }
            }
            let row_scales = F32x4::new(rows.map(|(_, scale)| scale));
            for (n, sums) in sums.into_iter().enumerate() {
                let [s0, s1, s2, s3] = I32x4::transpose(sums);
                let sum = s0.add(s2).add(s1.add(s3));
                let own = self.scales[query + n];
                score(sum, row_scales, own).store(self.weights, n * TILE + row);
            }
        }
    }

    /// Sums of eight channels from `column` of `values` by the weights' codes.
    #[inline(always)]
    fn sums<const N: usize>(&self, values: &[u8], column: usize) -> [[I32x4; 2]; N] {
        let len = Q8::row_len(self.queries.head_dim);
        let mut sums = [[I32x4::splat(0); 2]; N];
        let mut add = |a: &[u8], b: &[u8], pair: usize| {
            let v = I16x8::interleave(I16x8::load_bytes(a, column), I16x8::load_bytes(b, column));
            for (n, sums) in sums.iter_mut().enumerate() {
                let w = I16x8::load_pair(self.weight_codes, 2 * TILE * n + 4 * pair);
                sums[0] = sums[0].add(v[0].dot(w));
                sums[1] = sums[1].add(v[1].dot(w));
            }
        };
        let pairs = values.chunks_exact(2 * len);
        let (rest, n_pairs) = (pairs.remainder(), pairs.len());
        for (pair, two) in pairs.take(TILE / 2).enumerate() {
            let (a, b) = two.split_at(len);
            add(a, b, pair);
        }
        if !rest.is_empty() {
            add(rest, rest, n_pairs); // the partner's weight is zero
        }
        sums
    }
}

//! Rows of one cell per channel, multiplied in f32.
//!
//! | tile   | layout                              |                                                |
//! |--------|-------------------------------------|------------------------------------------------|
//! | keys   | [TILE / 8, 4, head_dim / 4, 8 rows] | of eight rows, channels 4n + 0, then 4n + 1, .. |
//! | query  | [4, head_dim / 4, 4 queries]        | the same order of channels                      |
//! | values | [head_dim / 8, TILE, 8 channels]    | eight channels of one row after the other       |
use super::many::Weights;
use super::tile::{BLOCK, Tiles};
use super::{Queries, Sums, TILE, single};
use crate::cache_rows::{Cell, Cells, HeadRows};
use crate::lanes::F32x4;
use core::ops::Range;

impl<C: Cell> Tiles for Cells<C> {
    fn load_keys(tile: &mut [f32], keys: &[C], d: usize, first: usize, n: usize) {
        let panels = tile.chunks_exact_mut(8 * d).take(n.div_ceil(8));
        for (p, panel) in panels.enumerate() {
            for half in 0..2 {
                let row = 8 * p + 4 * half;
                for i in (0..d).step_by(4) {
                    let four = core::array::from_fn(|r| {
                        if row + r < n {
                            C::load4(keys, (first + row + r) * d + i)
                        } else {
                            F32x4::splat(0.0)
                        }
                    });
                    for (c, lanes) in F32x4::transpose(four).into_iter().enumerate() {
                        lanes.store(panel, 2 * d * c + 2 * i + 4 * half);
                    }
                }
            }
        }
    }

    fn load_values(tile: &mut [f32], values: &[C], d: usize, first: usize, n: usize) {
        let values = &values[first * d..(first + n) * d];
        for (p, panel) in tile.chunks_exact_mut(8 * TILE).enumerate() {
            for (row, eight) in values.chunks_exact(d).zip(panel.chunks_exact_mut(8)) {
                C::load4(row, 8 * p).store(eight, 0);
                C::load4(row, 8 * p + 4).store(eight, 4);
            }
        }
    }

    fn pack_queries(packed: &mut [f32], vectors: &[&[f32]], d: usize) {
        packed.fill(0.0);
        for (n, vector) in vectors.iter().enumerate() {
            for (i, four) in vector.chunks_exact(4).enumerate() {
                for (c, &x) in four.iter().enumerate() {
                    packed[d * c + BLOCK * i + n] = x;
                }
            }
        }
    }

    #[inline(always)]
    fn scores<const N: usize>(
        out: &mut [f32],
        stride: usize,
        keys: &[f32],
        packed: &[f32],
        n_rows: usize,
        scale: f32,
    ) {
        let d = packed.len() / BLOCK;
        let scale = F32x4::splat(scale);
        for (p, panel) in keys.chunks_exact(8 * d).take(n_rows.div_ceil(8)).enumerate() {
            let class = |c: usize| {
                let mut sums = [[F32x4::splat(0.0); 2]; N];
                let mut queries = packed[d * c..d * (c + 1)].as_chunks::<BLOCK>().0.iter();
                for k in panel[2 * d * c..2 * d * (c + 1)].as_chunks::<8>().0 {
                    let Some(q) = queries.next() else { break };
                    let k = [F32x4::load(k, 0), F32x4::load(k, 4)];
                    for (n, sums) in sums.iter_mut().enumerate() {
                        let x = F32x4::splat(q[n]);
                        sums[0] = x.mul_add(k[0], sums[0]);
                        sums[1] = x.mul_add(k[1], sums[1]);
                    }
                }
                sums
            };
            let even = add(class(0), class(2));
            let sums = add(even, add(class(1), class(3)));
            for (n, sums) in sums.into_iter().enumerate() {
                sums[0].mul(scale).store(out, n * stride + 8 * p);
                sums[1].mul(scale).store(out, n * stride + 8 * p + 4);
            }
        }
    }

    #[inline(always)]
    fn add_values<const N: usize>(
        out: &mut [f32],
        at: [usize; N],
        factors: [F32x4; N],
        weights: &Weights<'_>,
        work: &mut [f32],
        values: &[f32],
        n_rows: usize,
    ) {
        turn(work, weights);
        for (p, panel) in values.chunks_exact(8 * TILE).enumerate() {
            let mut sums: [[F32x4; 2]; N] = core::array::from_fn(|n| {
                [0, 4].map(|j| F32x4::load(out, at[n] + 8 * p + j).mul(factors[n]))
            });
            let mut rows = work.as_chunks::<BLOCK>().0.iter();
            for values in panel[..8 * n_rows].as_chunks::<8>().0 {
                let Some(weights) = rows.next() else { break };
                let v = [F32x4::load(values, 0), F32x4::load(values, 4)];
                for (n, sums) in sums.iter_mut().enumerate() {
                    let weight = F32x4::splat(weights[n]);
                    sums[0] = weight.mul_add(v[0], sums[0]);
                    sums[1] = weight.mul_add(v[1], sums[1]);
                }
            }
            for (n, sums) in sums.into_iter().enumerate() {
                sums[0].store(out, at[n] + 8 * p);
                sums[1].store(out, at[n] + 8 * p + 4);
            }
        }
    }

    fn attend_one(
        sums: &mut Sums<'_>,
        q: &[f32],
        rows: &HeadRows<'_, Self>,
        queries: Queries,
        range: Range<usize>,
        scratch: &mut [f32],
    ) {
        single::attend(sums, q, rows, queries, range, scratch);
    }
}

#[inline(always)]
fn add<const N: usize>(a: [[F32x4; 2]; N], b: [[F32x4; 2]; N]) -> [[F32x4; 2]; N] {
    core::array::from_fn(|n| [a[n][0].add(b[n][0]), a[n][1].add(b[n][1])])
}

/// turned f32[TILE, BLOCK] = the weights with rows outermost.
#[inline(always)]
fn turn(turned: &mut [f32], weights: &Weights<'_>) {
    for row in (0..TILE).step_by(4) {
        let four = core::array::from_fn(|n| F32x4::load(weights.cells, n * weights.stride + row));
        for (i, lanes) in F32x4::transpose(four).into_iter().enumerate() {
            lanes.store(turned, BLOCK * (row + i));
        }
    }
}

//! What attention does with the rows of a codec: tiles re-laid so that blocks of queries read them
//! without gaps, queries packed to match, and the products over them.
use super::many::Weights;
use super::{Queries, Sums};
use crate::cache_rows::{Codec, HeadRows};
use crate::lanes::F32x4;
use core::ops::Range;

/// Queries of a packed block.
pub(super) const BLOCK: usize = 4;

/// A codec's arithmetic. Tiles and packed queries are f32 by size; what lies in them is its own.
pub trait Tiles: Codec + Sized {
    /// Rows `first .. first + n` of `keys` to f32[TILE d]; rows past them, to a multiple of eight,
    /// become zeros.
    fn load_keys(tile: &mut [f32], keys: &[Self::Unit], d: usize, first: usize, n: usize);
    /// Rows `first .. first + n` of `values` to f32[TILE d].
    fn load_values(tile: &mut [f32], values: &[Self::Unit], d: usize, first: usize, n: usize);
    /// Up to four query vectors to f32[BLOCK d]; missing ones become zeros.
    fn pack_queries(packed: &mut [f32], vectors: &[&[f32]], d: usize);
    /// out f32[N, stride] = scale q.k over the tile's first `n_rows` rows; rows past them, to a
    /// multiple of eight, are finite.
    fn scores<const N: usize>(
        out: &mut [f32],
        stride: usize,
        keys: &[f32],
        packed: &[f32],
        n_rows: usize,
        scale: f32,
    );
    /// out[at[n] ..] f32[d] = out factors[n] + weights of query n times values. `work` f32[BLOCK TILE].
    fn add_values<const N: usize>(
        out: &mut [f32],
        at: [usize; N],
        factors: [F32x4; N],
        weights: &Weights<'_>,
        work: &mut [f32],
        values: &[f32],
        n_rows: usize,
    );
    /// Attention of one token over the rows of `range`, from the beginning of a split: they are read
    /// where they lie. The same bits as by tiles.
    fn attend_one(
        sums: &mut Sums<'_>,
        q: &[f32],
        rows: &HeadRows<'_, Self>,
        queries: Queries,
        range: Range<usize>,
        scratch: &mut [f32],
    );
}

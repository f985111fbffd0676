//! Rows moved between heads, or between all heads of all layers, to where the large scores are.

use super::apportion::apportion;
use super::order_key;
use super::top_k::threshold;

/// What no head loses to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Ada-KV: the rows that the largest scores give, mixed with a share `alpha` of the mean.
    Mixing,
    /// kvpress: a head's best `alpha` of the mean, reserved rows included, are safe; the largest
    /// scores of what is left decide the rest.
    Safe,
}

/// Scores of ragged heads, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// All heads' scores.
    pub scores: &'a [f32],
    /// Rows of each head.
    pub lengths: &'a [u32],
    /// Rows within each head that stay in any case, one head's after the other's.
    pub reserved: &'a [u32],
    /// How many of them are each head's.
    pub n_reserved: &'a [u32],
}

/// Memory for [`split`]: as many keys as scores, as many shares and bounds as heads.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// Selection keys.
    pub keys: &'a mut [u32],
    /// Real shares.
    pub shares: &'a mut [f64],
    /// Rows that a head can take.
    pub high: &'a mut [u32],
}

/// Key of a row that is out of the competition; the others' are those of selection plus one.
const OUT: u32 = 0;

/// Divides `n_free` rows beyond the reserved ones: `out[n_heads]`, the reserved ones included, sums to
/// `n_free` plus their number (less where the heads have no more rows).
///
/// Equal scores are taken by row, then by head, so that heads of equal scores get equal rows.
pub fn split(
    heads: Heads<'_>,
    n_free: usize,
    alpha: f64,
    guarantee: Guarantee,
    scratch: Scratch<'_>,
    out: &mut [u32],
) {
    let Scratch { keys, shares, high } = scratch;
    enter(heads, keys);
    for ((high, &length), &n_reserved) in high.iter_mut().zip(heads.lengths).zip(heads.n_reserved) {
        *high = length - n_reserved;
    }
    let n_free = n_free.min(high.iter().map(|&n| n as usize).sum());
    if guarantee == Guarantee::Mixing {
        out.fill(0);
        count(keys, heads.lengths, n_free, out);
        let base = n_free as f64 / out.len().max(1) as f64;
        for (share, &n) in shares.iter_mut().zip(out.iter()) {
            *share = f64::from(n) * (1.0 - alpha) + alpha * base;
        }
        apportion(shares, n_free, 0, high, out);
    } else {
        let n_reserved: u32 = heads.n_reserved.iter().sum();
        let mean = (n_free as f64 + f64::from(n_reserved)) / out.len().max(1) as f64;
        let n_safe = ((mean.floor() * alpha) as u32).max(1);
        let n_left = take_safe(heads, keys, n_safe, n_free, out);
        count(keys, heads.lengths, n_left, out);
    }
    for (out, &n_reserved) in out.iter_mut().zip(heads.n_reserved) {
        *out += n_reserved;
    }
}

/// Fills `keys`; reserved rows do not compete.
fn enter(heads: Heads<'_>, keys: &mut [u32]) {
    for (key, &score) in keys.iter_mut().zip(heads.scores) {
        // The largest key of a number is that of infinity: one more is no overflow.
        *key = order_key(score) + 1;
    }
    let (mut start, mut first) = (0, 0);
    for (&length, &n_reserved) in heads.lengths.iter().zip(heads.n_reserved) {
        let end = first + n_reserved as usize;
        for &row in &heads.reserved[first..end] {
            keys[start + row as usize] = OUT;
        }
        start += length as usize;
        first = end;
    }
}

/// Takes each head's best rows up to `n_safe`, reserved ones counted, out of the competition.
/// Returns how many of `n_free` are left.
fn take_safe(
    heads: Heads<'_>,
    keys: &mut [u32],
    n_safe: u32,
    n_free: usize,
    out: &mut [u32],
) -> usize {
    let (mut start, mut n_left) = (0, n_free);
    for ((out, &length), &n_reserved) in out.iter_mut().zip(heads.lengths).zip(heads.n_reserved) {
        let keys = &mut keys[start..start + length as usize];
        let n_open = (length - n_reserved) as usize;
        let n = (n_safe.saturating_sub(n_reserved) as usize).min(n_open).min(n_left);
        if n > 0 {
            let (threshold, mut n_ties) = threshold(keys, n);
            for key in keys {
                let is_tie = *key == threshold && n_ties > 0;
                n_ties -= usize::from(is_tie);
                if *key > threshold || is_tie {
                    *key = OUT;
                }
            }
        }
        *out = n as u32;
        n_left -= n;
        start += length as usize;
    }
    n_left
}

/// Adds to `out` how many of the `k` largest keys each head has.
fn count(keys: &[u32], lengths: &[u32], k: usize, out: &mut [u32]) {
    if k == 0 {
        return;
    }
    let (threshold, mut n_ties) = threshold(keys, k);
    let mut start = 0;
    for (out, &length) in out.iter_mut().zip(lengths) {
        let head = &keys[start..start + length as usize];
        *out += head.iter().filter(|&&key| key > threshold).count() as u32;
        start += length as usize;
    }
    let longest = lengths.iter().copied().max().unwrap_or(0);
    for row in 0..longest {
        let mut start = 0;
        for (out, &length) in out.iter_mut().zip(lengths) {
            if n_ties == 0 {
                return;
            }
            if row < length && keys[start + row as usize] == threshold {
                *out += 1;
                n_ties -= 1;
            }
            start += length as usize;
        }
    }
}

//! The select rule: forced rows and the best of the rest, in ascending order of rows.

use super::order_key;

const HISTOGRAM_BITS: u32 = 11;
const N_BUCKETS: usize = 1 << HISTOGRAM_BITS;

/// Selects `min(n, max(budget, n_forced))` of `scores[n]` and writes their indices to `out`,
/// ascending; returns how many.
///
/// Forced indices (`forced`, distinct) are always kept, even above the budget. The rest are taken
/// by descending score, ties to the lower index; NaN is lowest and -0 equals +0.
///
/// `keys[n]` is scratch; `out` has room for the result.
pub fn select(
    scores: &[f32],
    budget: usize,
    forced: &[u32],
    keys: &mut [u32],
    out: &mut [u32],
) -> usize {
    debug_assert_eq!(scores.len(), keys.len());
    for (key, &score) in keys.iter_mut().zip(scores) {
        *key = order_key(score);
    }
    for &index in forced {
        // Above the key of +infinity: forced rows win before any other.
        keys[index as usize] = u32::MAX;
    }
    let n_kept = budget.max(forced.len()).min(scores.len());
    gather_top(keys, &mut out[..n_kept]);
    n_kept
}

/// Writes the indices of the `out.len()` largest keys, ascending; ties go to the lower index.
fn gather_top(keys: &[u32], out: &mut [u32]) {
    if out.is_empty() {
        return;
    }
    let (threshold, mut n_ties) = threshold(keys, out.len());
    let mut n_out = 0;
    // Without branches on the keys, which are as good as random.
    for (index, &key) in keys.iter().enumerate() {
        let is_tie = key == threshold && n_ties > 0;
        out[n_out] = index as u32;
        n_out += usize::from(key > threshold || is_tie);
        n_ties -= usize::from(is_tie);
        if n_out == out.len() {
            return;
        }
    }
}

/// The k-th largest key, and how many keys equal to it belong to the first k. Radix selection: a
/// histogram of the leading bits finds the bucket of the threshold, twice more within the bucket.
pub(super) fn threshold(keys: &[u32], k: usize) -> (u32, usize) {
    let (mut prefix, mut mask, mut n_left) = (0, 0, k);
    for shift in [21, 10, 0] {
        let bits = if shift == 0 { 32 - 2 * HISTOGRAM_BITS } else { HISTOGRAM_BITS };
        let digit_mask = (1 << bits) - 1;
        let mut histogram = [0u32; N_BUCKETS];
        for &key in keys {
            // Keys outside the bucket add nothing; a branch on them would be mispredicted.
            let digit = (key >> shift & digit_mask) as usize % N_BUCKETS;
            histogram[digit] += u32::from(key & mask == prefix);
        }
        let mut digit = digit_mask as usize;
        while (histogram[digit % N_BUCKETS] as usize) < n_left {
            n_left -= histogram[digit % N_BUCKETS] as usize;
            digit -= 1;
        }
        prefix |= (digit as u32) << shift;
        mask |= digit_mask << shift;
    }
    (prefix, n_left)
}

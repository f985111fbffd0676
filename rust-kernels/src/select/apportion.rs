//! Whole rows from real shares, with an exact sum.

/// What f64 sums of shares may be off: a share this near to a whole number is that number.
const SLACK: f64 = 1e-9;
/// In place of a share: the cell has got its rows.
const DONE: f64 = -1.0;

/// Rounds `shares[n]` (0 or more) to `out[n]` with the sum `total`: floors, then one row each to the
/// largest fractional parts, ties to the lower cell.
///
/// Every cell gets from `low` to `high[i]` rows; what the cells at a bound gain or lose, the others
/// make up in proportion to their shares. The caller sees to it that the bounds allow `total`;
/// where they do not, they win over the sum. `shares` is used up.
pub fn apportion(shares: &mut [f64], total: usize, low: usize, high: &[u32], out: &mut [u32]) {
    debug_assert!(shares.len() == out.len() && high.len() == out.len());
    let mut rest = total as f64;
    while fix_bounds(shares, &mut rest, low as f64, high, out) {}
    scale(shares, rest);
    for (share, out) in shares.iter_mut().zip(out.iter_mut()) {
        if *share != DONE {
            let whole = (*share + SLACK).floor();
            *out = whole as u32;
            rest -= whole;
            // Fractions that differ by rounding only are equal.
            *share = ((*share - whole) / SLACK).round().max(0.0);
        }
    }
    while rest >= 1.0 {
        let Some(cell) = largest(shares, high, out) else {
            return;
        };
        out[cell] += 1;
        shares[cell] = 0.0;
        rest -= 1.0;
    }
}

/// Gives cells beyond a bound the bound, on the side where more is at stake; false where none is.
fn fix_bounds(shares: &mut [f64], rest: &mut f64, low: f64, high: &[u32], out: &mut [u32]) -> bool {
    scale(shares, *rest);
    let (mut over, mut under) = (0.0, 0.0);
    for (&share, &high) in shares.iter().zip(high) {
        if share != DONE {
            over += (share - f64::from(high)).max(0.0);
            under += (low - share).max(0.0);
        }
    }
    if over <= SLACK && under <= SLACK {
        return false;
    }
    for ((share, &high), out) in shares.iter_mut().zip(high).zip(out) {
        let high = f64::from(high);
        let bound = if over >= under { high } else { low.min(high) };
        let is_beyond = if over >= under { *share > high } else { *share < low };
        if *share != DONE && is_beyond {
            *out = bound as u32;
            *rest -= bound;
            *share = DONE;
        }
    }
    *rest = rest.max(0.0);
    true
}

/// Brings the open shares to the sum `rest`, in proportion; equal where all are 0.
fn scale(shares: &mut [f64], rest: f64) {
    let (mut sum, mut n_open) = (0.0, 0u32);
    for &share in shares.iter().filter(|&&share| share != DONE) {
        sum += share;
        n_open += 1;
    }
    // Shares that have the sum already stay as exact as they are.
    if (sum - rest).abs() <= SLACK {
        return;
    }
    for share in shares.iter_mut().filter(|share| **share != DONE) {
        *share = if sum > 0.0 { *share * (rest / sum) } else { rest / f64::from(n_open) };
    }
}

/// The open cell with the largest fraction that has room, the lowest of equal ones.
fn largest(fractions: &[f64], high: &[u32], out: &[u32]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (cell, &fraction) in fractions.iter().enumerate() {
        let is_open = fraction != DONE && out[cell] < high[cell];
        if is_open && best.is_none_or(|best| fraction > fractions[best]) {
            best = Some(cell);
        }
    }
    best
}

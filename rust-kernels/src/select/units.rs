//! Rows that stay or go together: chunks, shots, sentences.

use super::order_key;

/// How a unit's score comes from its rows'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitScore {
    /// Sum: longer units score higher.
    Sum,
    /// Sum divided by the number of rows.
    Mean,
}

/// What happens when the next unit in rank does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The next that fits is taken.
    Skip,
    /// Nothing more is taken.
    Stop,
    /// As `Skip`, then the first rows of the best unit that did not fit, to the budget exactly.
    Exact,
    /// As many of the best as would fit if all were as long as the longest; where that is none, the
    /// first rows of the best.
    Floor,
}

/// Units of rows, apart from each other.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    /// One score per unit.
    pub scores: &'a [f32],
    /// Unit `i` is rows `bounds[2 i] .. bounds[2 i + 1]`.
    pub bounds: &'a [u32],
}

/// `out[m]` from `scores[n]`; unit `i` is rows `bounds[2 i] .. bounds[2 i + 1]`. Sums are in f64, in
/// the order of the rows; an empty unit scores 0.
pub fn score_units(scores: &[f32], bounds: &[u32], by: UnitScore, out: &mut [f32]) {
    debug_assert_eq!(bounds.len(), 2 * out.len());
    for (out, bounds) in out.iter_mut().zip(bounds.chunks_exact(2)) {
        let rows = &scores[bounds[0] as usize..bounds[1] as usize];
        let sum: f64 = rows.iter().map(|&score| f64::from(score)).sum();
        let n = if by == UnitScore::Mean && !rows.is_empty() { rows.len() as f64 } else { 1.0 };
        *out = (sum / n) as f32;
    }
}

/// Selects units by descending score, ties to the lower unit, while they fit into `budget` rows;
/// `forced` rows stay, above the budget too, and cost no unit anything. Writes the rows kept to
/// `out`, ascending, and returns how many.
///
/// `order`, one for each unit, and `is_kept`, one for each row, are scratch; `out` has room for
/// `max(budget, n_forced)` rows.
pub fn select_units(
    units: Units<'_>,
    budget: usize,
    forced: &[u32],
    fill: Fill,
    order: &mut [u32],
    is_kept: &mut [u32],
    out: &mut [u32],
) -> usize {
    is_kept.fill(0);
    for &row in forced {
        is_kept[row as usize] = 1;
    }
    for (i, unit) in order.iter_mut().enumerate() {
        *unit = i as u32;
    }
    order.sort_unstable_by_key(|&unit| (!order_key(units.scores[unit as usize]), unit));
    let left = budget.saturating_sub(forced.len());
    fill_units(order, units.bounds, left, fill, is_kept);
    let mut n_out = 0;
    for (row, _) in is_kept.iter().enumerate().filter(|&(_, &kept)| kept == 1) {
        out[n_out] = row as u32;
        n_out += 1;
    }
    n_out
}

/// Marks the rows of units in rank `order`, at most `left` of them.
fn fill_units(order: &[u32], bounds: &[u32], mut left: usize, fill: Fill, is_kept: &mut [u32]) {
    let range =
        |unit: u32| bounds[2 * unit as usize] as usize..bounds[2 * unit as usize + 1] as usize;
    let longest = order.iter().map(|&unit| range(unit).len()).max().unwrap_or(0);
    let most = match fill {
        Fill::Floor => left.checked_div(longest).unwrap_or(0),
        _ => order.len(),
    };
    let mut partial = None;
    let mut n_taken = 0;
    for &unit in order {
        if n_taken == most {
            break;
        }
        let rows = &mut is_kept[range(unit)];
        let cost = rows.iter().filter(|&&kept| kept == 0).count();
        if cost <= left {
            rows.fill(1);
            left -= cost;
            n_taken += 1;
        } else {
            partial = partial.or(Some(unit));
            if fill == Fill::Stop {
                return;
            }
        }
    }
    if fill == Fill::Floor && n_taken == 0 {
        partial = order.first().copied();
    }
    if let (Fill::Exact | Fill::Floor, Some(unit)) = (fill, partial) {
        let rows = is_kept[range(unit)].iter_mut();
        for kept in rows.filter(|kept| **kept == 0).take(left) {
            *kept = 1;
        }
    }
}

use std::cmp::Ordering;

/// Descending, NaN last, -0 equal to +0, ties to the lower index.
pub fn ranking(scores: &[f32]) -> Vec<u32> {
    let by_score = |a: f32, b: f32| match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => b.partial_cmp(&a).unwrap(),
    };
    let mut indices: Vec<u32> = (0..scores.len() as u32).collect();
    // The sort is stable, which is the tie rule.
    indices.sort_by(|&a, &b| by_score(scores[a as usize], scores[b as usize]));
    indices
}

pub fn select(scores: &[f32], budget: usize, forced: &[u32]) -> Vec<u32> {
    let rest = ranking(scores).into_iter().filter(|index| !forced.contains(index));
    let n_rest = budget.saturating_sub(forced.len());
    let mut kept: Vec<u32> = forced.iter().copied().chain(rest.take(n_rest)).collect();
    kept.sort_unstable();
    kept
}

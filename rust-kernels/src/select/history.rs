//! Sums of attention that outlive the call in which they were measured.

/// `sums[i] += old_sums[j]` where the rows hold the same position; both positions ascend. Rows that
/// have gone add nothing, rows that have come start at 0.
pub fn carry(old_positions: &[u32], old_sums: &[f32], positions: &[u32], sums: &mut [f32]) {
    let mut old = old_positions.iter().zip(old_sums).peekable();
    for (&position, sum) in positions.iter().zip(sums) {
        while old.next_if(|(old, _)| **old < position).is_some() {}
        if let Some((_, old_sum)) = old.next_if(|(old, _)| **old == position) {
            *sum += old_sum;
        }
    }
}

/// `sums[i]` divided by the number of the newest `n_queries` queries that can see the row, at least
/// 1; `next_position` is that of the query to come.
pub fn per_query(sums: &mut [f32], positions: &[u32], next_position: u32, n_queries: u32) {
    for (sum, &position) in sums.iter_mut().zip(positions) {
        let n_seeing = next_position.saturating_sub(position).min(n_queries).max(1);
        *sum /= n_seeing as f32;
    }
}

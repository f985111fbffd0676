//! Rotary position embedding: (a, b) -> (a cos - b sin, a sin + b cos) for each pair of a head.

/// Which channels make a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// (2i, 2i + 1), as llama's GGUF files hold q and k.
    Interleaved,
    /// (i, i + head_dim / 2).
    Half,
}

/// Rotates one head in place; `table` f32[head_dim]: cos of pair i at 2i, sin at 2i + 1.
pub fn rotate(head: &mut [f32], table: &[f32], style: RopeStyle) {
    match style {
        RopeStyle::Interleaved => {
            for (pair, angle) in head.chunks_exact_mut(2).zip(table.chunks_exact(2)) {
                let (a, b) = (pair[0], pair[1]);
                pair[0] = a * angle[0] - b * angle[1];
                pair[1] = a * angle[1] + b * angle[0];
            }
        }
        RopeStyle::Half => {
            let (low, high) = head.split_at_mut(table.len() / 2);
            for ((a, b), angle) in low.iter_mut().zip(high).zip(table.chunks_exact(2)) {
                (*a, *b) = (*a * angle[0] - *b * angle[1], *a * angle[1] + *b * angle[0]);
            }
        }
    }
}

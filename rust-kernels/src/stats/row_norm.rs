//! Length of each row: the square root of the sum of squares.

use super::dot;

/// Norms of `rows[out.len(), head_dim]` to `out`.
pub fn row_norms(rows: &[f32], head_dim: usize, out: &mut [f32]) {
    debug_assert_eq!(rows.len(), out.len() * head_dim);
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(head_dim)) {
        *out = dot(row, row).sqrt();
    }
}

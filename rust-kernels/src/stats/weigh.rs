//! Scores times what a row would add to the output.

/// `scores[i] = (scores[i] + epsilon) * weights[i]`.
pub fn weigh(scores: &mut [f32], weights: &[f32], epsilon: f32) {
    debug_assert_eq!(scores.len(), weights.len());
    for (score, &weight) in scores.iter_mut().zip(weights) {
        *score = (*score + epsilon) * weight;
    }
}

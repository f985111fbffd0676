/// Reads outside the row as `padding`.
fn at(scores: &[f32], i: isize, padding: f64) -> f64 {
    usize::try_from(i).ok().and_then(|i| scores.get(i)).map_or(padding, |&x| f64::from(x))
}

pub fn avg_pool(scores: &[f32], kernel: usize) -> Vec<f64> {
    let radius = (kernel / 2) as isize;
    (0..scores.len() as isize)
        .map(|i| (-radius..=radius).map(|j| at(scores, i + j, 0.0)).sum::<f64>() / kernel as f64)
        .collect()
}

pub fn max_pool(scores: &[f32], kernel: usize) -> Vec<f64> {
    let radius = (kernel / 2) as isize;
    (0..scores.len() as isize)
        .map(|i| {
            let window = (-radius..=radius).map(|j| at(scores, i + j, f64::NEG_INFINITY));
            window.fold(f64::NEG_INFINITY, f64::max)
        })
        .collect()
}

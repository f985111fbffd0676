pub fn log_sum_exp(x: &[f32]) -> f64 {
    let max = x.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x)));
    max + x.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln()
}

pub fn softmax(x: &[f32]) -> Vec<f64> {
    let total = log_sum_exp(x);
    x.iter().map(|&x| (f64::from(x) - total).exp()).collect()
}

pub fn arg_max(x: &[f32]) -> usize {
    let mut best: Option<usize> = None;
    for (i, &value) in x.iter().enumerate() {
        if !value.is_nan() && best.is_none_or(|best| value > x[best]) {
            best = Some(i);
        }
    }
    best.unwrap_or(0)
}

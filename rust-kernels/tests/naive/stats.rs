fn f64s(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&x| f64::from(x)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

pub fn row_norms(rows: &[f32], head_dim: usize) -> Vec<f64> {
    rows.chunks_exact(head_dim).map(|row| norm(&f64s(row))).collect()
}

pub fn key_diff(keys: &[f32], head_dim: usize) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = keys.chunks_exact(head_dim).map(f64s).collect();
    let n = rows.len() as f64;
    let mean_of = |c: usize| rows.iter().map(|row| row[c] / norm(row)).sum::<f64>() / n;
    let anchor: Vec<f64> = (0..head_dim).map(mean_of).collect();
    rows.iter().map(|row| -dot(row, &anchor) / norm(row) / norm(&anchor)).collect()
}

/// Scores of one partition by the ranges of the next.
fn lag_partition(rows: &[Vec<f64>], next: &[Vec<f64>]) -> Vec<f64> {
    let n = rows[0].len();
    let of_channel = |c: usize| next.iter().map(move |row| row[c]);
    let std_of = |row: &Vec<f64>| {
        let x: Vec<f64> = (0..n)
            .map(|c| {
                let low = of_channel(c).fold(f64::INFINITY, f64::min);
                let high = of_channel(c).fold(f64::NEG_INFINITY, f64::max);
                (row[c] - low) / (high - low).max(1e-6)
            })
            .collect();
        let mean = x.iter().sum::<f64>() / n as f64;
        (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt()
    };
    softmax(&rows.iter().map(std_of).collect::<Vec<_>>())
}

/// Scores, not ranks, of all partitions but the last: `[n_partitions - 1][lag_size]`.
pub fn lag(keys: &[f32], values: &[f32], d: usize, n_sink: usize, lag: usize) -> Vec<Vec<f64>> {
    let rows = |x: &[f32]| x.chunks_exact(d).skip(n_sink).map(f64s).collect::<Vec<_>>();
    let (keys, values) = (rows(keys), rows(values));
    let of = |x: &[Vec<f64>], p: usize| {
        lag_partition(&x[p * lag..(p + 1) * lag], &x[(p + 1) * lag..(p + 2) * lag])
    };
    (0..keys.len() / lag - 1)
        .map(|p| {
            let pairs = of(&keys, p).into_iter().zip(of(&values, p));
            pairs.map(|(k, v)| (k + v) / 2.0).collect()
        })
        .collect()
}

/// The mean of `exp(i frequency position)`, position by position.
pub fn mean_rotation(frequency: f64, first: u32, count: u32) -> (f64, f64) {
    let angles = (0..count).map(|i| frequency * (f64::from(first) + f64::from(i)));
    let sum = angles.fold((0.0, 0.0), |(re, im), a| (re + a.cos(), im + a.sin()));
    (sum.0 / f64::from(count), sum.1 / f64::from(count))
}

/// Rotation `[d][d]` of the channels `pairs[i] = (a, b)`, averaged over the positions.
pub fn rotation(pairs: &[(usize, usize)], f: &[f32], first: u32, count: u32) -> Vec<Vec<f64>> {
    let d = 2 * pairs.len();
    let mut r = vec![vec![0.0; d]; d];
    for (&(a, b), &frequency) in pairs.iter().zip(f) {
        let (re, im) = mean_rotation(f64::from(frequency), first, count);
        (r[a][a], r[a][b], r[b][a], r[b][b]) = (re, -im, im, re);
    }
    r
}

/// `m x`, row by row.
pub fn apply(m: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    m.iter().map(|row| dot(row, x)).collect()
}

/// `r m r^T`.
pub fn conjugate(r: &[Vec<f64>], m: &[f32]) -> Vec<Vec<f64>> {
    let d = r.len();
    let at = |i: usize, j: usize| {
        let of_row = |k: usize| (0..d).map(|l| f64::from(m[k * d + l]) * r[j][l]).sum::<f64>();
        (0..d).map(|k| r[i][k] * of_row(k)).sum()
    };
    (0..d).map(|i| (0..d).map(|j| at(i, j)).collect()).collect()
}

/// One query head: softmax of `scale m.k + scale^2 / 2 k.S k`.
pub fn expected(keys: &[f32], mean: &[f64], covariance: &[Vec<f64>], scale: f64) -> Vec<f64> {
    let logit = |key: &[f32]| {
        let key = f64s(key);
        let spread = if covariance.is_empty() { 0.0 } else { dot(&key, &apply(covariance, &key)) };
        scale * dot(mean, &key) + scale * scale / 2.0 * spread
    };
    softmax(&keys.chunks_exact(mean.len()).map(logit).collect::<Vec<_>>())
}

//! Statistics of rows against the naive versions, in f64.

mod r#gen;
mod naive;

use r#gen::Gen;
use kvasir_kernels::math::rope::rope_frequencies;
use kvasir_kernels::stats::expected_attention::{
    Future, Queries, RopePairs, expected_attention, fold, mean_rotation, rotate_statistics,
};
use kvasir_kernels::stats::key_diff::key_diff;
use kvasir_kernels::stats::lag::{LagScale, LagScratch, LagShape, lag_scores};
use kvasir_kernels::stats::row_norm::row_norms;
use kvasir_kernels::stats::weigh::weigh;

const HEAD_DIMS: [usize; 6] = [2, 7, 8, 64, 80, 128];

fn assert_close(got: &[f32], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(got) - expected).abs() <= bound, "{what} at {i}: {got} not {expected}");
    }
}

#[test]
fn row_norms_are_within_1e_6_of_naive() {
    let mut random = Gen::new(1);
    for head_dim in HEAD_DIMS {
        for n in [0, 1, 5, 33] {
            let rows = random.f32s(n * head_dim, -1.0, 1.0);
            let mut out = vec![f32::NAN; n];
            row_norms(&rows, head_dim, &mut out);
            let expected = naive::stats::row_norms(&rows, head_dim);
            assert_close(&out, &expected, 1e-6, &format!("{head_dim} {n}"));
        }
    }
}

fn run_key_diff(keys: &[f32], head_dim: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; keys.len() / head_dim];
    key_diff(keys, &mut vec![f64::NAN; head_dim], &mut out);
    out
}

#[test]
fn key_diff_is_within_1e_6_of_naive() {
    let mut random = Gen::new(2);
    for head_dim in HEAD_DIMS {
        for n in [1, 2, 5, 100] {
            // Off centre, as keys are: the anchor of centred ones is all rounding.
            let keys = random.f32s(n * head_dim, -1.0, 3.0);
            let expected = naive::stats::key_diff(&keys, head_dim);
            assert_close(&run_key_diff(&keys, head_dim), &expected, 1e-6, &format!("{head_dim}"));
        }
    }
}

#[test]
fn key_diff_ignores_lengths_and_scores_a_zero_key_as_orthogonal() {
    assert_eq!(run_key_diff(&[3.0, 0.0, 0.5, 0.0], 2), [-1.0, -1.0]);
    assert_eq!(run_key_diff(&[2.0, 0.0, 0.0, 0.0, 4.0, 0.0], 2), [-1.0, 0.0, -1.0]);
    assert_eq!(run_key_diff(&[], 4), []);
}

struct Lagged {
    scores: Vec<f32>,
    n_tail: usize,
}

fn run_lag(keys: &[f32], values: &[f32], shape: LagShape, scale: LagScale) -> Lagged {
    let mut scores = vec![f32::NAN; keys.len() / shape.head_dim];
    let scratch = LagScratch {
        ranges: &mut vec![f32::NAN; 2 * shape.head_dim],
        scores: &mut vec![f32::NAN; shape.lag_size],
        order: &mut vec![0; shape.lag_size],
    };
    let n_tail = lag_scores(keys, values, shape, scale, scratch, &mut scores);
    Lagged { scores, n_tail }
}

#[test]
fn lag_scores_are_within_1e_6_of_naive() {
    let mut random = Gen::new(3);
    for (head_dim, n_sink, lag_size, n) in
        [(8, 4, 5, 14), (64, 4, 16, 101), (7, 0, 3, 6), (2, 1, 1, 9), (64, 3, 128, 400)]
    {
        let shape = LagShape { head_dim, n_sink, lag_size };
        let keys = random.f32s(n * head_dim, -2.0, 2.0);
        let values = random.f32s(n * head_dim, -1.0, 5.0);
        let Lagged { scores, n_tail } = run_lag(&keys, &values, shape, LagScale::Score);
        let expected = naive::stats::lag(&keys, &values, head_dim, n_sink, lag_size).concat();
        let end = n_sink + expected.len();
        assert_eq!(n_tail, n - end);
        assert_close(&scores[n_sink..end], &expected, 1e-6, &format!("{shape:?} {n}"));
        let rest = scores[..n_sink].iter().chain(&scores[end..]);
        assert!(rest.into_iter().all(|&score| score == 1.0));
    }
}

#[test]
fn lag_ranks_order_each_partition_as_its_scores_do() {
    let mut random = Gen::new(4);
    let shape = LagShape { head_dim: 8, n_sink: 2, lag_size: 6 };
    let (keys, values) = (random.f32s(40 * 8, -2.0, 2.0), random.f32s(40 * 8, -2.0, 2.0));
    let ranks = run_lag(&keys, &values, shape, LagScale::Rank).scores;
    let scores = run_lag(&keys, &values, shape, LagScale::Score).scores;
    for (ranks, scores) in ranks[2..32].chunks(6).zip(scores[2..32].chunks(6)) {
        for (&rank, score) in ranks.iter().zip(scores) {
            let n_below = scores.iter().filter(|other| *other < score).count();
            assert_eq!(rank, n_below as f32 / 6.0);
        }
    }
}

#[test]
fn lag_ranks_the_older_of_equal_rows_higher() {
    let shape = LagShape { head_dim: 2, n_sink: 1, lag_size: 3 };
    let rows = [[0.0, 1.0]; 8].concat();
    let Lagged { scores, n_tail } = run_lag(&rows, &rows, shape, LagScale::Rank);
    assert_eq!(scores, [1.0, 2.0 / 3.0, 1.0 / 3.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(n_tail, 4);
}

#[test]
fn lag_scores_by_recency_below_two_partitions() {
    let shape = LagShape { head_dim: 1, n_sink: 2, lag_size: 3 };
    let run = |n: usize| run_lag(&vec![1.0; n], &vec![1.0; n], shape, LagScale::Rank);
    assert_eq!(run(6).scores, [1.0, 1.0, 0.0, 0.25, 0.5, 0.75]);
    assert_eq!(run(6).n_tail, 0);
    assert_eq!(run(1).scores, [1.0]);
    assert_eq!(run(0).scores, []);
    assert!(run(8).scores.iter().all(|score| score.is_finite()));
}

#[test]
fn mean_rotation_gives_the_golden_values() {
    for (frequency, first, count, re, im) in
        [(1.0, 10, 4, 0.229164, -0.415104), (0.1, 10, 4, 0.405939, 0.907069)]
    {
        let got = mean_rotation(frequency, Future { first, count });
        assert!((got.0 - re).abs() < 1e-6 && (got.1 - im).abs() < 1e-6, "{frequency}: {got:?}");
    }
    for (frequency, length) in [(1.0, 0.004071), (0.01, 0.214593)] {
        let (re, im) = mean_rotation(frequency, Future { first: 1024, count: 512 });
        assert!((re.hypot(im) - length).abs() < 1e-6, "{frequency}");
    }
}

#[test]
fn mean_rotation_is_within_1e_10_of_the_average() {
    for frequency in [1.0, 0.7499, 0.1, 1e-2, 1e-4, 1e-6, 1e-12, 0.0, core::f64::consts::TAU] {
        for (first, count) in [(0, 1), (4, 4), (353, 512), (1_000_000, 512), (7, 2), (7, 3)] {
            let expected = naive::stats::mean_rotation(frequency, first, count);
            let (re, im) = mean_rotation(frequency, Future { first, count });
            let error = (re - expected.0).abs().max((im - expected.1).abs());
            assert!(
                error < 1e-10 * f64::from(first).max(1.0),
                "{frequency} {first} {count}: {error}"
            );
        }
    }
}

#[test]
fn expected_attention_gives_the_golden_values() {
    let pairs = RopePairs::Half;
    let mut mean = [2.0 / 3.0, 2.0 / 3.0, 0.0, 0.0];
    let third = 1.0 / 9.0;
    let mut covariance = [0.0; 16];
    for (at, x) in [(0, 2.0), (2, -1.0), (8, -1.0), (10, 2.0)] {
        covariance[at] = x * third;
    }
    // One pair of the golden in a head of two, as the other stays 0: channels 0 and 2.
    (mean[2], mean[1]) = (mean[1], 0.0);
    let future = Future { first: 4, count: 4 };
    rotate_statistics(&mut mean, &mut covariance, &[1.0, 1.0], pairs, future);
    assert_close(&[mean[0], mean[2]], &[0.447041, 0.000989], 1e-6, "mean");
    let square = [covariance[0], covariance[2], covariance[8], covariance[10]];
    assert_close(&square, &[0.024981, -0.000111, -0.000111, 0.074942], 1e-6, "covariance");
    fold(&mut covariance, 4);
    let keys = [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.5, 0.0, 0.5, 0.0]].concat();
    let scale = 0.5f32.sqrt();
    let queries = Queries { mean: &mean, covariance: &covariance, scale };
    let (mut logits, mut out) = ([0.0; 3], [0.0; 3]);
    expected_attention(&keys, 4, queries, &mut logits, &mut out);
    assert_close(&out, &[0.385690, 0.284895, 0.329415], 1e-6, "softmax");
    weigh(&mut out, &[1.0, 2.0, 1.0], 0.02);
    assert_close(&out, &[0.405690, 0.609789, 0.349415], 1e-6, "scores");
}

/// A covariance of `3 d` random queries with a large mean, biased.
fn statistics(random: &mut Gen, d: usize) -> (Vec<f32>, Vec<f32>) {
    let queries: Vec<Vec<f32>> = (0..3 * d).map(|_| random.f32s(d, -1.0, 2.0)).collect();
    let n = queries.len() as f32;
    let mean: Vec<f32> = (0..d).map(|c| queries.iter().map(|q| q[c]).sum::<f32>() / n).collect();
    let mut covariance = vec![0.0; d * d];
    for (i, row) in covariance.chunks_exact_mut(d).enumerate() {
        for (j, x) in row.iter_mut().enumerate() {
            let product = |q: &Vec<f32>| (q[i] - mean[i]) * (q[j] - mean[j]);
            *x = queries.iter().map(product).sum::<f32>() / n;
        }
    }
    (mean, covariance)
}

#[test]
fn expected_attention_is_within_1e_5_of_naive_relative() {
    let mut random = Gen::new(5);
    for (d, n_groups, n) in [(8, 1, 1), (8, 3, 7), (64, 3, 37), (80, 2, 20), (128, 1, 9)] {
        for pairs in [RopePairs::Interleaved, RopePairs::Half] {
            let of_pair = |i: usize| match pairs {
                RopePairs::Interleaved => (2 * i, 2 * i + 1),
                RopePairs::Half => (i, i + d / 2),
            };
            let channels: Vec<(usize, usize)> = (0..d / 2).map(of_pair).collect();
            let mut frequencies = vec![0.0; d / 2];
            rope_frequencies(&mut frequencies, 10_000.0, 1.0, &[]);
            let future = Future { first: 353, count: 512 };
            let rotation = naive::stats::rotation(&channels, &frequencies, 353, 512);
            let keys = random.f32s(n * d, -2.0, 2.0);
            let scale = 1.0 / (d as f32).sqrt();
            for has_covariance in [true, false] {
                let mut expected = vec![0.0; n];
                let (mut means, mut covariances) = (vec![], vec![]);
                for _ in 0..n_groups {
                    let (mut mean, mut covariance) = statistics(&mut random, d);
                    if !has_covariance {
                        covariance.clear();
                    }
                    let in_f64: Vec<f64> = mean.iter().map(|&x| f64::from(x)).collect();
                    let turned = naive::stats::apply(&rotation, &in_f64);
                    let spread = match has_covariance {
                        true => naive::stats::conjugate(&rotation, &covariance),
                        false => vec![],
                    };
                    let scores = naive::stats::expected(&keys, &turned, &spread, f64::from(scale));
                    for (sum, score) in expected.iter_mut().zip(scores) {
                        *sum += score / n_groups as f64;
                    }
                    rotate_statistics(&mut mean, &mut covariance, &frequencies, pairs, future);
                    if has_covariance {
                        fold(&mut covariance, d);
                    }
                    means.extend(mean);
                    covariances.extend(covariance);
                }
                let queries = Queries { mean: &means, covariance: &covariances, scale };
                let (mut logits, mut out) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                expected_attention(&keys, d, queries, &mut logits, &mut out);
                for (got, expected) in out.iter().zip(&expected) {
                    let error = (f64::from(*got) / expected - 1.0).abs();
                    assert!(error < 1e-5, "{d} {n_groups} {n} {pairs:?}: {error}");
                }
            }
        }
    }
}

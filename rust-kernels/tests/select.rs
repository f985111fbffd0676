//! Pooling, group reduction and the select rule against the naive versions.

mod r#gen;
mod naive;

use r#gen::Gen;
use kvasir_kernels::select::group::{GroupReduction, group_reduce};
use kvasir_kernels::select::pool::{Pooling, pool};
use kvasir_kernels::select::top_k::select;

fn run_select(scores: &[f32], budget: usize, forced: &[u32]) -> Vec<u32> {
    let mut keys = vec![0; scores.len()];
    let mut out = vec![u32::MAX; scores.len()];
    let n_kept = select(scores, budget, forced, &mut keys, &mut out);
    out.truncate(n_kept);
    out
}

#[test]
fn select_equals_a_stable_sort_on_hard_scores() {
    let mut random = Gen::new(1);
    for round in 0..2000 {
        let n = random.below(70);
        let scores = random.hard_scores(n);
        let budget = random.below(n + 3);
        let forced: Vec<u32> = (0..n as u32).filter(|_| random.below(5) == 0).collect();
        let expected = naive::select::select(&scores, budget, &forced);
        assert_eq!(run_select(&scores, budget, &forced), expected, "round {round}: {scores:?}");
    }
}

#[test]
fn select_equals_a_stable_sort_on_many_scores() {
    let mut random = Gen::new(2);
    for n in [4095, 4096, 4097, 20_000] {
        let scores = random.f32s(n, 0.0, 1e-3);
        for budget in [1, n / 16, n / 2, n - 1] {
            let forced = [0, 1, 2, n as u32 - 1];
            let expected = naive::select::select(&scores, budget, &forced);
            assert_eq!(run_select(&scores, budget, &forced), expected, "{n} {budget}");
        }
    }
}

#[test]
fn select_keeps_the_lower_of_equal_scores() {
    assert_eq!(run_select(&[1.0, 1.0, 1.0, 1.0, 1.0, 0.0], 2, &[]), [0, 1]);
    assert_eq!(run_select(&[-0.0, 0.0, -0.0], 2, &[]), [0, 1]);
    assert_eq!(run_select(&[f32::NAN, f32::NEG_INFINITY], 1, &[]), [1]);
}

#[test]
fn select_keeps_forced_rows_above_the_budget() {
    assert_eq!(run_select(&[3.0, 2.0, 1.0], 1, &[1, 2]), [1, 2]);
    assert_eq!(run_select(&[f32::INFINITY, 2.0, f32::NAN], 2, &[2]), [0, 2]);
    assert_eq!(run_select(&[3.0, 2.0], 0, &[]), []);
    assert_eq!(run_select(&[], 4, &[]), []);
}

fn run_pool(scores: &[f32], kernel: usize, by: Pooling) -> Vec<f32> {
    let mut out = vec![f32::NAN; scores.len()];
    pool(scores, kernel, by, &mut out);
    out
}

#[test]
fn pool_gives_the_golden_values() {
    let peak = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    let edge = [3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(run_pool(&peak, 5, Pooling::Avg), [0.2, 0.2, 0.2, 0.2, 0.2, 0.0]);
    assert_eq!(run_pool(&edge, 5, Pooling::Avg), [0.6, 0.6, 0.6, 0.0, 0.0, 0.0]);
    let pooled = run_pool(&peak, 5, Pooling::Max);
    assert_eq!(pooled, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!(run_select(&pooled, 2, &[]), [0, 1]);
}

#[test]
fn pool_equals_naive_within_1e_6() {
    let mut random = Gen::new(3);
    for n in [0, 1, 2, 3, 4, 5, 7, 31, 32, 33, 100] {
        for kernel in [1, 3, 5, 7, 13, 65] {
            let scores = random.f32s(n, -1.0, 1.0);
            let avg = naive::pool::avg_pool(&scores, kernel);
            for (got, expected) in run_pool(&scores, kernel, Pooling::Avg).iter().zip(avg) {
                assert!((f64::from(*got) - expected).abs() < 1e-6, "{n} {kernel}");
            }
            let max = naive::pool::max_pool(&scores, kernel);
            for (got, expected) in run_pool(&scores, kernel, Pooling::Max).iter().zip(max) {
                assert_eq!(f64::from(*got), expected, "{n} {kernel}");
            }
        }
    }
}

#[test]
fn group_reduce_equals_naive() {
    let mut random = Gen::new(4);
    for (n_kv_heads, n_groups, n) in [(1, 1, 1), (3, 3, 33), (2, 8, 5), (4, 1, 16), (2, 3, 0)] {
        let scores = random.f32s(n_kv_heads * n_groups * n, -1.0, 1.0);
        let mut out = vec![f32::NAN; n_kv_heads * n];
        for by in [GroupReduction::Mean, GroupReduction::Max, GroupReduction::Sum] {
            group_reduce(&scores, n, n_groups, by, &mut out);
            for (i, &got) in out.iter().enumerate() {
                let (kv_head, row) = (i / n, i % n);
                let heads = (0..n_groups).map(|g| scores[(kv_head * n_groups + g) * n + row]);
                let expected = match by {
                    GroupReduction::Mean => heads.sum::<f32>() / n_groups as f32,
                    GroupReduction::Max => heads.fold(f32::NEG_INFINITY, f32::max),
                    GroupReduction::Sum => heads.sum(),
                };
                assert_eq!(got, expected, "{by:?} {i}");
            }
        }
    }
}

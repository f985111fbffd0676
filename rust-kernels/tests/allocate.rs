//! Budgets, units, norms and histories: golden values, and what must hold for random inputs. The same
//! kernels are held against naive versions in test/unit/engine/allocation-kernels.test.ts.

mod r#gen;

use r#gen::Gen;
use kvasir_kernels::select::apportion::apportion;
use kvasir_kernels::select::history::{carry, per_query};
use kvasir_kernels::select::norm_prefix::norm_prefix;
use kvasir_kernels::select::pyramid::{Pyramid, exact, rounded};
use kvasir_kernels::select::random::random_scores;
use kvasir_kernels::select::split::{Guarantee, Heads, Scratch, split};
use kvasir_kernels::select::units::{Fill, UnitScore, Units, score_units, select_units};

fn run_apportion(shares: &[f64], total: usize, low: usize, high: &[u32]) -> Vec<u32> {
    let mut out = vec![u32::MAX; shares.len()];
    apportion(&mut shares.to_vec(), total, low, high, &mut out);
    out
}

#[test]
fn apportion_gives_the_rest_to_the_largest_fractions() {
    assert_eq!(run_apportion(&[2.8, 1.2], 4, 0, &[6, 6]), [3, 1]);
    assert_eq!(run_apportion(&[1.5, 1.5, 1.0], 4, 0, &[9, 9, 9]), [2, 1, 1]);
    assert_eq!(run_apportion(&[0.0, 0.0, 0.0], 4, 0, &[9, 9, 9]), [2, 1, 1]);
    assert_eq!(run_apportion(&[8.0, 1.0, 1.0], 10, 0, &[4, 9, 9]), [4, 3, 3]);
    assert_eq!(run_apportion(&[9.0, 0.5, 0.5], 10, 2, &[9, 9, 9]), [6, 2, 2]);
    assert_eq!(run_apportion(&[], 0, 0, &[]), []);
}

#[test]
fn apportion_has_the_exact_sum_within_bounds() {
    let mut random = Gen::new(1);
    for round in 0..2000 {
        let n = 1 + random.below(40);
        let shares: Vec<f64> = (0..n).map(|_| f64::from(random.f32(0.0, 20.0))).collect();
        let low = random.below(4);
        let high: Vec<u32> = (0..n).map(|_| (low + random.below(30)) as u32).collect();
        let most: u32 = high.iter().sum();
        let total = n * low + random.below(most as usize - n * low + 1);
        let out = run_apportion(&shares, total, low, &high);
        assert_eq!(out.iter().sum::<u32>() as usize, total, "round {round}");
        for (&rows, &high) in out.iter().zip(&high) {
            assert!((low as u32..=high).contains(&rows), "round {round}");
        }
    }
}

fn run_exact(n_layers: usize, total: usize, low: usize, pyramid: Pyramid) -> Vec<u32> {
    let mut out = vec![u32::MAX; n_layers];
    exact(pyramid, total, low, &mut vec![0.0; n_layers], &mut vec![0; n_layers], &mut out);
    out
}

#[test]
fn pyramid_gives_the_golden_values() {
    let pyramid = Pyramid { n_rows: 4096, window: 32, beta: 20.0 };
    let rows = run_exact(32, 128 * 32, 0, pyramid);
    assert_eq!(rows.iter().sum::<u32>(), 3072 + 32 * 32);
    assert_eq!(rows[..3].iter().map(|n| n - 32).collect::<Vec<_>>(), [187, 181, 175]);
    assert_eq!(rows[29..].iter().map(|n| n - 32).collect::<Vec<_>>(), [17, 11, 5]);
    let small = Pyramid { n_rows: 100, window: 0, beta: 20.0 };
    assert_eq!(run_exact(4, 40, 0, small), [20, 13, 7, 0]);
    assert_eq!(run_exact(4, 40, 3, small), [18, 12, 7, 3]);
    assert_eq!(run_exact(1, 40, 0, small), [40]);
    assert_eq!(run_exact(3, 300, 0, small), [100, 100, 100]);
    // Capped at the rows there are, the last layer raised in return.
    assert_eq!(run_exact(3, 240, 0, small), [100, 80, 60]);
    // Not above the window: uniform.
    let wide = Pyramid { n_rows: 100, window: 16, beta: 20.0 };
    assert_eq!(run_exact(3, 32, 0, wide), [11, 11, 10]);
}

#[test]
fn rounded_pyramid_rounds_halves_to_even_and_falls_back() {
    let mut out = [0; 3];
    let pyramid = Pyramid { n_rows: 353, window: 8, beta: 4.0 };
    rounded(pyramid, 176.5, &mut out);
    assert_eq!(out, [309, 176, 44]);
    rounded(Pyramid { window: 16, beta: 20.0, ..pyramid }, 70.6, &mut out);
    assert_eq!(out, [71, 71, 71]);
    rounded(Pyramid { window: 16, beta: 20.0, ..pyramid }, 176.5, &mut out);
    assert_eq!(out, [337, 176, 16]);
}

fn run_split(
    scores: &[f32],
    lengths: &[u32],
    (reserved, n_reserved): (&[u32], &[u32]),
    n_free: usize,
    alpha: f64,
    guarantee: Guarantee,
) -> Vec<u32> {
    let n_heads = lengths.len();
    let mut out = vec![u32::MAX; n_heads];
    split(
        Heads { scores, lengths, reserved, n_reserved },
        n_free,
        alpha,
        guarantee,
        Scratch {
            keys: &mut vec![0; scores.len()],
            shares: &mut vec![0.0; n_heads],
            high: &mut vec![0; n_heads],
        },
        &mut out,
    );
    out
}

#[test]
fn split_gives_the_golden_values() {
    let scores = [0.3, 0.25, 0.2, 0.05, 0.02, 0.01, 0.1, 0.08, 0.05, 0.03, 0.02, 0.01];
    let none: (&[u32], &[u32]) = (&[], &[0, 0]);
    let run =
        |n_free, alpha, guarantee| run_split(&scores, &[6, 6], none, n_free, alpha, guarantee);
    assert_eq!(run(4, 0.2, Guarantee::Mixing), [3, 1]);
    assert_eq!(run(4, 1.0, Guarantee::Mixing), [2, 2]);
    assert_eq!(run(4, 0.2, Guarantee::Safe), [3, 1]);
    assert_eq!(run(3, 0.0, Guarantee::Mixing), [3, 0]);
    assert_eq!(run(3, 0.0, Guarantee::Safe), [2, 1]);
    assert_eq!(run(99, 0.2, Guarantee::Mixing), [6, 6]);
    // Reserved rows neither compete nor are lost.
    let reserved: (&[u32], &[u32]) = (&[0, 5, 5], &[2, 1]);
    assert_eq!(run_split(&scores, &[6, 6], reserved, 2, 0.0, Guarantee::Mixing), [4, 1]);
    assert_eq!(run_split(&scores, &[6, 6], reserved, 2, 0.5, Guarantee::Safe), [4, 1]);
}

#[test]
fn split_of_equal_scores_is_even_and_its_sum_exact() {
    for guarantee in [Guarantee::Mixing, Guarantee::Safe] {
        let none: (&[u32], &[u32]) = (&[], &[0, 0, 0]);
        assert_eq!(run_split(&[0.5; 30], &[10, 10, 10], none, 8, 0.0, guarantee), [3, 3, 2]);
        let mut random = Gen::new(3);
        for round in 0..500 {
            let lengths: Vec<u32> =
                (0..1 + random.below(5)).map(|_| random.below(20) as u32).collect();
            let n: u32 = lengths.iter().sum();
            let scores = random.hard_scores(n as usize);
            let n_reserved: Vec<u32> = lengths.iter().map(|&n| n.min(2)).collect();
            let reserved: Vec<u32> = n_reserved.iter().flat_map(|&n| 0..n).collect();
            let n_open = n - n_reserved.iter().sum::<u32>();
            let n_free = random.below(n_open as usize + 1);
            let held = (&reserved[..], &n_reserved[..]);
            let out = run_split(&scores, &lengths, held, n_free, 0.3, guarantee);
            assert_eq!(out.iter().sum::<u32>() as usize, n_free + reserved.len(), "{round}");
            for ((rows, length), held) in out.iter().zip(&lengths).zip(&n_reserved) {
                assert!(rows >= held && rows <= length, "{round}");
            }
        }
    }
}

fn run_units(
    scores: &[f32],
    bounds: &[u32],
    budget: usize,
    forced: &[u32],
    fill: Fill,
) -> Vec<u32> {
    let n = bounds.last().copied().unwrap_or(0).max(20) as usize;
    let mut out = vec![u32::MAX; n];
    let units = Units { scores, bounds };
    let (mut order, mut is_kept) = (vec![0; scores.len()], vec![7; n]);
    let n_kept = select_units(units, budget, forced, fill, &mut order, &mut is_kept, &mut out);
    out.truncate(n_kept);
    out
}

#[test]
fn chunks_give_the_golden_values() {
    let (scores, bounds) = ([0.07, 0.16, 0.18, 0.08], [0, 6, 6, 12, 12, 18, 18, 20]);
    let run = |budget, fill| run_units(&scores, &bounds, budget, &[], fill);
    assert_eq!(run(8, Fill::Floor), [12, 13, 14, 15, 16, 17]);
    assert_eq!(run(8, Fill::Exact), [12, 13, 14, 15, 16, 17, 18, 19]);
    assert_eq!(run(9, Fill::Exact), [6, 12, 13, 14, 15, 16, 17, 18, 19]);
    assert_eq!(run(8, Fill::Stop), [12, 13, 14, 15, 16, 17]);
    assert_eq!(run(4, Fill::Floor), [12, 13, 14, 15]);
    assert_eq!(run(4, Fill::Skip), [18, 19]);
    assert_eq!(run(0, Fill::Exact), []);
    let mut means = [0.0; 4];
    let rows: Vec<f32> = (0..20).map(|i| scores[i / 6] / if i < 18 { 6.0 } else { 2.0 }).collect();
    score_units(&rows, &bounds, UnitScore::Mean, &mut means);
    assert_eq!(means.map(|x| (x * 1e4_f32).round()), [117.0, 267.0, 300.0, 400.0]);
    score_units(&rows, &bounds, UnitScore::Sum, &mut means);
    assert_eq!(means.map(|x| (x * 1e4_f32).round()), [700.0, 1600.0, 1800.0, 800.0]);
}

#[test]
fn shots_give_the_golden_values() {
    let rows = [0.3, 0.1, 0.02, 0.03, 0.02, 0.03, 0.1, 0.12, 0.08, 0.05, 0.05, 0.04, 0.03, 0.03];
    let bounds = [2, 6, 6, 9, 9, 12];
    let mut means = [0.0; 3];
    score_units(&rows, &bounds, UnitScore::Mean, &mut means);
    assert_eq!(means.map(|x| (x * 1e5_f32).round()), [2500.0, 10000.0, 4667.0]);
    let forced = [0, 1, 12, 13];
    assert_eq!(run_units(&means, &bounds, 8, &forced, Fill::Skip), [0, 1, 6, 7, 8, 12, 13]);
    // Forced rows stay above the budget, and within a unit they cost it nothing.
    assert_eq!(run_units(&means, &bounds, 2, &forced, Fill::Skip), forced);
    assert_eq!(run_units(&means, &bounds, 4, &[6, 8], Fill::Stop), [6, 7, 8]);
    // Ties go to the lower unit.
    assert_eq!(run_units(&[0.5, 0.5, 0.5], &bounds, 3, &[], Fill::Skip), [6, 7, 8]);
}

#[test]
fn norm_prefix_gives_the_golden_values() {
    let weights = [0.5, 0.1, 0.05, 0.05, 0.02, 0.03, 0.05, 0.2];
    let counts = [0.01, 0.1, 0.001].map(|threshold| norm_prefix(&weights, 4, threshold));
    // The residuals of methods.md are .100 .082 .078 .074 .0062: the first below .1 is the second.
    assert_eq!(counts, [5, 2, 7]);
    assert_eq!(norm_prefix(&weights, 4, 0.0), 8);
    assert_eq!(norm_prefix(&weights, 4, 1.0), 1);
    assert_eq!(norm_prefix(&weights[..3], 4, 0.2), 1);
    assert_eq!(norm_prefix(&[0.0; 5], 4, 0.5), 5);
    assert_eq!(norm_prefix(&[], 4, 0.5), 0);
}

#[test]
fn random_scores_are_those_of_split_mix_64() {
    let mut random = Gen::new(5 << 32 | 7);
    let expected: Vec<f32> = (0..50).map(|_| random.f32(0.0, 1.0)).collect();
    let mut scores = [0.0; 50];
    random_scores(5, 7, &mut scores);
    assert_eq!(scores[..], expected[..]);
}

#[test]
fn history_follows_positions() {
    let mut sums = [1.0, 1.0, 1.0, 1.0];
    carry(&[0, 3, 5, 9], &[10.0, 20.0, 30.0, 40.0], &[0, 5, 7, 9], &mut sums);
    assert_eq!(sums, [11.0, 31.0, 1.0, 41.0]);
    carry(&[], &[], &[0, 5, 7, 9], &mut sums);
    assert_eq!(sums, [11.0, 31.0, 1.0, 41.0]);
    // Uniform causal attention over five tokens, raw and normalised.
    let mut columns = [2.283_333_3, 1.283_333_3, 0.783_333_3, 0.45, 0.2];
    per_query(&mut columns, &[0, 1, 2, 3, 4], 5, u32::MAX);
    assert_eq!(columns.map(|x: f32| (x * 1e3).round()), [457.0, 321.0, 261.0, 225.0, 200.0]);
    let mut window = [3.0, 3.0, 2.0, 1.0];
    per_query(&mut window, &[0, 1, 2, 3], 4, 3);
    assert_eq!(window, [1.0, 1.0, 1.0, 1.0]);
}

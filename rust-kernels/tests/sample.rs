//! Sampling's functions against the naive versions.

mod r#gen;
mod naive;

use r#gen::Gen;
use kvasir_kernels::sample::arg_max::arg_max;
use kvasir_kernels::sample::softmax::{log_sum_exp, softmax};
use kvasir_kernels::sample::top_k::top_k;

const LENGTHS: [usize; 12] = [1, 2, 3, 15, 16, 17, 63, 64, 65, 255, 1000, 49_152];

fn run_top_k(logits: &[f32], k: usize) -> Vec<u32> {
    let (mut heap, mut tokens) = (vec![0; k], vec![u32::MAX; k]);
    top_k(logits, &mut heap, &mut tokens);
    tokens
}

#[test]
fn arg_max_equals_naive_on_hard_scores() {
    let mut random = Gen::new(5);
    for _ in 0..2000 {
        let n = random.below(70);
        let x = random.hard_scores(n);
        assert_eq!(arg_max(&x), naive::sample::arg_max(&x), "{x:?}");
    }
    let x = random.f32s(49_152, -20.0, 20.0);
    assert_eq!(arg_max(&x), naive::sample::arg_max(&x));
}

#[test]
fn top_k_equals_a_stable_sort() {
    let mut random = Gen::new(6);
    for round in 0..2000 {
        let n = random.below(90);
        let x = random.hard_scores(n);
        let k = random.below(n + 1);
        assert_eq!(run_top_k(&x, k), naive::select::ranking(&x)[..k], "round {round}: {x:?}");
    }
    for n in LENGTHS {
        let x = random.f32s(n, -20.0, 20.0);
        for k in [1, 40, 256, n].into_iter().filter(|&k| k <= n) {
            assert_eq!(run_top_k(&x, k), naive::select::ranking(&x)[..k], "{n} {k}");
        }
    }
}

#[test]
fn softmax_equals_naive_within_3e_6_of_each_probability() {
    let mut random = Gen::new(7);
    for n in LENGTHS {
        for width in [1.0, 30.0] {
            let x = random.f32s(n, -width, width);
            let mut got = x.clone();
            softmax(&mut got);
            for (got, expected) in got.iter().zip(naive::sample::softmax(&x)) {
                // Rounding x - max is an absolute error in the exponent, 1.9e-6 from 32 on.
                let error = (f64::from(*got) - expected).abs();
                assert!(error <= 3e-6 * expected + 1e-37, "{n}: {got} {expected}");
            }
        }
    }
}

#[test]
fn log_sum_exp_equals_naive_within_2e_7() {
    let mut random = Gen::new(8);
    for n in LENGTHS {
        for width in [1.0, 30.0] {
            let x = random.f32s(n, -width, width);
            let error = (log_sum_exp(&x) - naive::sample::log_sum_exp(&x)).abs();
            assert!(error < 2e-7, "{n}: {error}");
        }
    }
}

#[test]
fn softmax_and_log_sum_exp_take_infinities() {
    const LOWEST: f32 = f32::NEG_INFINITY;
    let mut x = [LOWEST, 1.0, LOWEST, 1.0];
    softmax(&mut x);
    assert_eq!(x, [0.0, 0.5, 0.0, 0.5]);
    let mut x = [LOWEST; 70];
    assert_eq!(log_sum_exp(&x), f64::NEG_INFINITY);
    softmax(&mut x);
    assert_eq!(x, [0.0; 70]);
    assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    assert!(log_sum_exp(&[0.0, f32::NAN]).is_nan());
}

/// FNV-1a over the words of the bit patterns.
fn hash_bits(x: &[f32]) -> u32 {
    x.iter().fold(0x811c_9dc5, |hash: u32, x| (hash ^ x.to_bits()).wrapping_mul(0x0100_0193))
}

#[test]
fn softmax_has_the_same_bits_as_in_wasm() {
    let mut x = Gen::new(21).f32s(1021, -20.0, 20.0);
    softmax(&mut x);
    // test/unit/engine/host-kernels.test.ts expects the same of the SIMD build.
    assert_eq!(hash_bits(&x), 1_412_585_865);
}

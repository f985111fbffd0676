//! exp and the rotary tables against f64.

use kvasir_kernels::lanes::F32x4;
use kvasir_kernels::math::exp::{exp, exp4};
use kvasir_kernels::math::rope::{rope_frequencies, rope_table};

/// Distance in units of the last place of the rounded expectation.
fn ulps(got: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    let ulp = f64::from(rounded.next_up()) - f64::from(rounded);
    (f64::from(got) - expected).abs() / ulp
}

#[test]
fn exp_is_within_1_ulp() {
    let mut worst = (0.0, 0.0);
    // Every 97th f32 of both signs; 97 is prime, so all mantissas come up.
    for bits in (0..88.72f32.to_bits()).step_by(97) {
        for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
            if x > -86.98 {
                let error = ulps(exp(x), f64::from(x).exp());
                if error > worst.0 {
                    worst = (error, x);
                }
            }
        }
    }
    assert!(worst.0 <= 1.0, "{worst:?}");
}

#[test]
fn exp_covers_the_whole_range() {
    assert_eq!(exp(0.0), 1.0);
    assert_eq!(exp(-0.0), 1.0);
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    assert_eq!(exp(f32::INFINITY), f32::INFINITY);
    assert_eq!(exp(f32::MIN), 0.0);
    assert_eq!(exp(-87.0), 0.0);
    assert!(exp(-86.98) > 0.0);
    assert_eq!(exp(88.73), f32::INFINITY);
    assert!(exp(88.72).is_finite());
    assert!(exp(f32::NAN).is_nan());
}

#[test]
fn exp4_equals_exp_in_each_lane() {
    let x = [-100.0, -1.25, 3.5, 200.0];
    assert_eq!(exp4(F32x4::new(x)).lanes(), x.map(exp));
}

#[test]
fn rope_frequencies_fall_from_one_and_are_divided() {
    let mut plain = [0.0; 32];
    rope_frequencies(&mut plain, 10_000.0, 1.0, &[]);
    for (i, &frequency) in plain.iter().enumerate() {
        assert!(ulps(frequency, 10_000f64.powf(-2.0 * i as f64 / 64.0)) <= 0.5001);
    }
    let factors: Vec<f32> = (0..32).map(|i| 1.0 + i as f32 / 7.0).collect();
    let mut scaled = [0.0; 32];
    rope_frequencies(&mut scaled, 10_000.0, 8.0, &factors);
    for i in 0..32 {
        assert_eq!(scaled[i], plain[i] / 8.0 / factors[i]);
    }
}

#[test]
fn rope_table_is_exact_to_half_an_ulp_and_independent_of_chunks() {
    let mut frequencies = [0.0; 16];
    rope_frequencies(&mut frequencies, 1_000_000.0, 1.0, &[]);
    let mut whole = vec![0.0; 200 * 32];
    rope_table(&mut whole, &frequencies, 999_900);
    for (i, row) in whole.chunks_exact(32).enumerate() {
        for (pair, &frequency) in row.chunks_exact(2).zip(&frequencies) {
            let angle = (999_900.0 + i as f64) * f64::from(frequency);
            assert_eq!(pair, [angle.cos() as f32, angle.sin() as f32]);
        }
    }
    let mut part = vec![0.0; 3 * 32];
    rope_table(&mut part, &frequencies, 999_950);
    assert_eq!(part, whole[50 * 32..53 * 32]);
    let mut first = [f32::NAN; 32];
    rope_table(&mut first, &frequencies, 0);
    assert_eq!(first[..4], [1.0, 0.0, 1.0, 0.0]);
}

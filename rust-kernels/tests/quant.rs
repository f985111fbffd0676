//! Block formats against the golden vectors, and codes against dequantised weights.

use kvasir_kernels::quant::codes::{codes_per_scale, has_signed_codes, unpack_codes};
use kvasir_kernels::quant::f16::{f16_to_f32, f32_to_f16, narrow_f16, widen_f16};
use kvasir_kernels::quant::{TensorType, dequantize_row, packed};
use std::fs;
use std::path::{Path, PathBuf};

fn golden() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../test/golden/dequant", "../../shared/golden/dequant"]
        .map(|path| root.join(path))
        .into_iter()
        .find(|path| path.is_dir())
        .expect("the golden dequant folder")
}

/// Blocks and expected weights of one type; `None` for F32, which has no golden file.
fn read_golden(ty: TensorType) -> Option<(Vec<u8>, Vec<f32>)> {
    let blocks = fs::read(golden().join(format!("{ty:?}.raw.u8"))).ok()?;
    let weights = fs::read(golden().join(format!("{ty:?}.f32"))).unwrap();
    let weights = weights.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    Some((blocks, weights.collect()))
}

#[test]
fn dequantize_row_equals_golden_bit_for_bit() {
    let mut n_types = 0;
    for ty in TensorType::ALL {
        let Some((blocks, expected)) = read_golden(ty) else {
            continue;
        };
        assert_eq!(ty.row_bytes(expected.len()), blocks.len(), "{ty:?}");
        let mut weights = vec![f32::NAN; expected.len()];
        dequantize_row(ty, &blocks, &mut weights);
        for (i, (weight, expected)) in weights.iter().zip(&expected).enumerate() {
            assert_eq!(weight.to_bits(), expected.to_bits(), "{ty:?} {i}: {weight} {expected}");
        }
        n_types += 1;
    }
    assert_eq!(n_types, 14);
}

#[test]
fn unpack_codes_gives_the_dequantised_weights() {
    for ty in TensorType::ALL {
        let Some(per_scale) = codes_per_scale(ty) else {
            continue;
        };
        let (blocks, expected) = read_golden(ty).unwrap();
        let n_scales = expected.len() / per_scale;
        let mut codes = vec![0; expected.len()];
        let (mut scales, mut mins) = (vec![f32::NAN; n_scales], vec![f32::NAN; n_scales]);
        unpack_codes(ty, &blocks, &mut codes, &mut scales, &mut mins);
        for (i, (&code, &expected)) in codes.iter().zip(&expected).enumerate() {
            let signed = has_signed_codes(ty);
            let code = if signed { f32::from(code as i8) } else { f32::from(code) };
            let weight = scales[i / per_scale] * code + mins[i / per_scale];
            assert_eq!(weight, expected, "{ty:?} {i}");
        }
    }
}

/// Their scales are f16 in both layouts, so nothing is rounded.
#[test]
fn packed_rows_are_the_dequantised_weights() {
    for ty in [
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q5_0,
        TensorType::Q5_1,
        TensorType::Q8_0,
        TensorType::IQ4_NL,
    ] {
        let (blocks, values) = read_golden(ty).unwrap();
        let packing = packed::packing(ty).expect("a packed type");
        let n_cols = 64;
        let row_bytes = ty.row_bytes(n_cols);
        // A whole group, and one that lacks rows; what was there before must not show.
        for n_rows in [8, 5] {
            let rows = &blocks[..n_rows * row_bytes];
            let mut group = vec![0xaa; packing.group_bytes(n_cols / packed::BLOCK)];
            let mut scratch = vec![0.0; packed::pack_scratch_len(n_cols)];
            packed::pack_group(ty, packing, &mut group, rows, n_cols, &mut scratch);
            for row in 0..8 {
                let mut out = vec![f32::NAN; n_cols];
                packed::unpack_row(packing, &group, row, &mut out);
                for (i, got) in out.iter().enumerate() {
                    let expected = if row < n_rows { values[row * n_cols + i] } else { 0.0 };
                    assert_eq!(*got, expected, "{ty:?}, row {row} of {n_rows}, column {i}");
                }
            }
        }
    }
}

#[test]
fn tensor_types_are_found_by_id() {
    for ty in TensorType::ALL {
        assert_eq!(TensorType::from_id(ty as u32), Some(ty));
    }
    assert_eq!(TensorType::from_id(4), None);
}

/// The f16 with these bits, by the definition.
fn naive_f16(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if half & 0x8000 != 0 { -magnitude } else { magnitude }
}

#[test]
fn f16_widens_exactly_and_round_trips() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    let mut wide = vec![0.0; halves.len()];
    widen_f16(&halves, &mut wide);
    let mut narrow = vec![0; halves.len()];
    narrow_f16(&wide, &mut narrow);
    for (i, &half) in halves.iter().enumerate() {
        let expected = naive_f16(half);
        assert_eq!(wide[i].to_bits(), f16_to_f32(half).to_bits());
        if expected.is_nan() {
            assert!(wide[i].is_nan());
            assert_eq!(narrow[i], half & 0x8000 | 0x7e00);
        } else {
            assert_eq!(f64::from(wide[i]), expected);
            assert_eq!(wide[i].is_sign_negative(), half & 0x8000 != 0);
            assert_eq!(narrow[i], half);
        }
    }
}

#[test]
fn f16_narrows_to_nearest_with_ties_to_even() {
    for half in 0..0x7c00u16 {
        let (low, high) = (f16_to_f32(half), f16_to_f32(half + 1));
        // The next f16 after the largest finite one would be 65,536.
        let high = if high.is_infinite() { 65536.0 } else { high };
        let middle = (low + high) / 2.0;
        let even = half + (half & 1);
        assert_eq!(f32_to_f16(middle), even, "{half:#x}");
        assert_eq!(f32_to_f16(middle.next_down()), half, "{half:#x}");
        assert_eq!(f32_to_f16(middle.next_up()), half + 1, "{half:#x}");
        assert_eq!(f32_to_f16(-middle), even | 0x8000, "{half:#x}");
    }
    assert_eq!(f32_to_f16(f32::MAX), 0x7c00);
    assert_eq!(f32_to_f16(f32::NEG_INFINITY), 0xfc00);
    assert_eq!(f32_to_f16(f32::MIN_POSITIVE), 0);
    assert_eq!(f32_to_f16(-1e-45), 0x8000);
}

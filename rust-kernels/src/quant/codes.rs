//! Splitting a row's blocks into integer codes and scales, for the packed layouts.

use super::{TensorType, iq4_nl, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};

/// Weights that share one scale (and min) after [`unpack_codes`], or `None` where the type has no
/// such form here.
pub fn codes_per_scale(ty: TensorType) -> Option<usize> {
    use TensorType::*;
    match ty {
        Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | Q4_K | Q5_K | IQ4_NL => Some(32),
        Q6_K => Some(16),
        F32 | F16 | BF16 | Q2_K | Q3_K | IQ4_XS => None,
    }
}

/// Whether the codes of `ty` are the bits of an i8 (true) or unsigned (false).
pub fn has_signed_codes(ty: TensorType) -> bool {
    matches!(ty, TensorType::Q8_0 | TensorType::IQ4_NL)
}

/// Splits blocks into `codes[n]` in the order of the weights, and `scales` and `mins` of
/// `[n / codes_per_scale]`, so that `weight = scale * code + min`.
///
/// Codes are unsigned, or the bits of an i8 (see [`has_signed_codes`]). Scales and mins are exact
/// or rounded once, as in the reference; `scale * code + min` in f32 equals `dequantize_row` but
/// for the sign of a zero.
///
/// # Panics
///
/// When [`codes_per_scale`] is `None`.
pub fn unpack_codes(
    ty: TensorType,
    blocks: &[u8],
    codes: &mut [u8],
    scales: &mut [f32],
    mins: &mut [f32],
) {
    let unpack = match ty {
        TensorType::Q4_0 => q4_0::unpack_codes,
        TensorType::Q4_1 => q4_1::unpack_codes,
        TensorType::Q5_0 => q5_0::unpack_codes,
        TensorType::Q5_1 => q5_1::unpack_codes,
        TensorType::Q8_0 => q8_0::unpack_codes,
        TensorType::Q4_K => q4_k::unpack_codes,
        TensorType::Q5_K => q5_k::unpack_codes,
        TensorType::Q6_K => q6_k::unpack_codes,
        TensorType::IQ4_NL => iq4_nl::unpack_codes,
        _ => panic!("Cannot unpack codes: the type has none"),
    };
    debug_assert_eq!(codes.len() * ty.block_bytes(), blocks.len() * ty.block_size());
    unpack(blocks, codes, scales, mins);
}

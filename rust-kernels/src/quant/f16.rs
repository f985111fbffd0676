//! Half precision and bfloat16: exact widening, narrowing with round half to even.
//!
//! Branch-free bit arithmetic, so that the slice versions vectorise. Subnormals go through one f32
//! multiplication by a power of two, which is exact.

/// 2^112 = 2^(127 - 15): moves the exponent bias of f16 to that of f32.
const BIAS_SHIFT: f32 = f32::from_bits(0x7780_0000);

/// The f32 equal to the f16 with these bits; the payload of a NaN is kept.
#[inline(always)]
pub fn f16_to_f32(half: u16) -> f32 {
    let half = u32::from(half);
    let magnitude = f32::from_bits((half & 0x7fff) << 13) * BIAS_SHIFT;
    // Exponent 31 means infinity or NaN: all exponent bits of the f32 must be set.
    let special = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | special | (half & 0x8000) << 16)
}

/// The bits of the nearest f16, ties to even; above 65,520 infinity, every NaN a quiet one.
///
/// Source: Maratyszcza/FP16, `fp16_ieee_from_fp32_value`: adding a power of two chosen from the
/// exponent makes the f32 adder itself round at the last bit of the f16.
#[inline(always)]
pub fn f32_to_f16(value: f32) -> u16 {
    const TO_INFINITY: f32 = BIAS_SHIFT;
    const TO_ZERO: f32 = f32::from_bits(0x0880_0000); // 2^-110
    let bits = value.to_bits();
    let shifted = bits.wrapping_add(bits);
    let rounded = value.abs() * TO_INFINITY * TO_ZERO;
    let bias = (shifted & 0xff00_0000).max(0x7100_0000);
    let rounded = (f32::from_bits((bias >> 1) + 0x0780_0000) + rounded).to_bits();
    let finite = ((rounded >> 13) & 0x7c00) + (rounded & 0x0fff);
    let magnitude = if shifted > 0xff00_0000 { 0x7e00 } else { finite };
    ((bits >> 16 & 0x8000) | magnitude) as u16
}

/// The f32 equal to the bfloat16 with these bits.
#[inline(always)]
pub fn bf16_to_f32(brain: u16) -> f32 {
    f32::from_bits(u32::from(brain) << 16)
}

/// Widens f16 bits `[n]` to f32 `[n]`.
pub fn widen_f16(halves: &[u16], out: &mut [f32]) {
    debug_assert_eq!(halves.len(), out.len());
    for (out, &half) in out.iter_mut().zip(halves) {
        *out = f16_to_f32(half);
    }
}

/// Narrows f32 `[n]` to f16 bits `[n]`.
pub fn narrow_f16(values: &[f32], out: &mut [u16]) {
    debug_assert_eq!(values.len(), out.len());
    for (out, &value) in out.iter_mut().zip(values) {
        *out = f32_to_f16(value);
    }
}

/// Widens little-endian f16 `[2 * n]` bytes to f32 `[n]`.
pub fn dequantize_f16(blocks: &[u8], out: &mut [f32]) {
    for (out, &block) in out.iter_mut().zip(blocks.as_chunks::<2>().0) {
        *out = f16_to_f32(u16::from_le_bytes(block));
    }
}

/// Widens little-endian bfloat16 `[2 * n]` bytes to f32 `[n]`.
pub fn dequantize_bf16(blocks: &[u8], out: &mut [f32]) {
    for (out, &block) in out.iter_mut().zip(blocks.as_chunks::<2>().0) {
        *out = bf16_to_f32(u16::from_le_bytes(block));
    }
}

/// The f16 at byte `offset` of a block.
#[inline(always)]
pub(super) fn f16_at<const N: usize>(block: &[u8; N], offset: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[offset], block[offset + 1]]))
}

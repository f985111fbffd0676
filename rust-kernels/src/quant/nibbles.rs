//! What the block formats share: splitting nibbles, spreading high bits, scaling codes.

use std::array;

/// Low nibbles of `N` bytes, then their high nibbles.
#[inline(always)]
pub(super) fn split<const N: usize, const M: usize>(bytes: &[u8]) -> [u8; M] {
    const { assert!(M == 2 * N) };
    let mut codes = [0; M];
    let (low, high) = codes.split_at_mut(N);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
        *low = byte & 15;
        *high = byte >> 4;
    }
    codes
}

/// Bit `i` of `bits` as 0 or 16 in lane `i`: the fifth bit of a code.
#[inline(always)]
pub(super) fn fifth_bits(bits: [u8; 4]) -> [u8; 32] {
    // A byte compare against the lane's own bit, which is one SIMD instruction; a variable shift
    // per lane is not.
    array::from_fn(|i| if bits[i / 8] & (1 << (i % 8)) != 0 { 16 } else { 0 })
}

/// Reads `N` bytes at `offset`.
#[inline(always)]
pub(super) fn bytes_at<const N: usize>(block: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&block[offset..offset + N]);
    bytes
}

/// `out[i] = scale * (codes[i] - center)`.
#[inline(always)]
pub(super) fn scale_centered(out: &mut [f32], codes: &[u8], scale: f32, center: i32) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = scale * (i32::from(code) - center) as f32;
    }
}

/// `out[i] = scale * codes[i]`, codes being the bits of an i8.
#[inline(always)]
pub(super) fn scale_signed(out: &mut [f32], codes: &[u8], scale: f32) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = scale * f32::from(code as i8);
    }
}

/// `out[i] = scale * codes[i] + min`, in two roundings.
#[inline(always)]
pub(super) fn scale_offset(out: &mut [f32], codes: &[u8], scale: f32, min: f32) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = scale * f32::from(code) + min;
    }
}

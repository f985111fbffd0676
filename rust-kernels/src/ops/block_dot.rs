//! The codes of a block of a packed panel as operands of integer products, four rows at a time.
//!
//! Two forms of activation codes, both exact, so both give the same integers:
//!
//! | form   | codes     | a step        | steps | product                                                |
//! |--------|-----------|---------------|-------|--------------------------------------------------------|
//! | wide   | i16, 2 B  | two columns   | 16    | `i32x4.dot_i16x8` with codes widened by shift and mask |
//! | narrow | i8, 1 B   | four columns  | 8     | `i16x8.relaxed_dot_i8x16_i7x16` on codes as bytes      |
//!
//! The columns of a step, in order; the first half of the steps covers columns 0..16:
//!
//! | form   | step           | columns                                   |
//! |--------|----------------|-------------------------------------------|
//! | wide   | 8h + 2j + odd  | 16h + 4j + odd and the second after it     |
//! | narrow | 4h + j         | 16h + 4j and the three after it           |
//!
//! Narrow needs codes of at most 127 and sums that fit i16 between flushes; with `FLUSH` steps of
//! at most `2 * (2^bits - 1) * 127` each they do: 15 -> 8, 31 -> 4, 63 -> 2. Relaxed SIMD leaves
//! nothing open then. Codes of 8 bits are wide in every build.
use crate::lanes::{I8x16, I16x8, I32x4};
use crate::quant::packed::{IQ4_NL_VALUES, Packing};

/// Bytes of a step of one token, and of one row.
pub const STEP_BYTES: usize = 4;

/// Activation codes of the fast path of this build.
#[cfg(target_feature = "relaxed-simd")]
pub type Fast = Narrow;
/// Activation codes of the fast path of this build.
#[cfg(not(target_feature = "relaxed-simd"))]
pub type Fast = Wide;

/// Whether weights packed so are multiplied with narrow codes in this build.
pub fn is_narrow(packing: Packing) -> bool {
    cfg!(target_feature = "relaxed-simd") && packing.code_bytes != 128 && !packing.is_lookup
}

/// A form of codes.
pub trait Form {
    /// Steps of a block.
    const STEPS: usize;
    /// Sums between flushes.
    type Sum: Copy;
    /// Of nothing.
    fn zero() -> Self::Sum;
    /// Weights times activations of a step.
    fn product(weights: I16x8, x: I16x8) -> Self::Sum;
    /// Adds up.
    fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Sums of four rows or tokens.
    fn flush(sum: Self::Sum) -> I32x4;
}

/// i16 codes.
pub struct Wide;
/// i8 codes.
pub struct Narrow;

impl Form for Wide {
    const STEPS: usize = 16;
    type Sum = I32x4;
    #[inline(always)]
    fn zero() -> I32x4 {
        I32x4::splat(0)
    }
    #[inline(always)]
    fn product(weights: I16x8, x: I16x8) -> I32x4 {
        weights.dot(x)
    }
    #[inline(always)]
    fn add(a: I32x4, b: I32x4) -> I32x4 {
        a.add(b)
    }
    #[inline(always)]
    fn flush(sum: I32x4) -> I32x4 {
        sum
    }
}

impl Form for Narrow {
    const STEPS: usize = 8;
    type Sum = I16x8;
    #[inline(always)]
    fn zero() -> I16x8 {
        I16x8::splat(0)
    }
    #[inline(always)]
    fn product(weights: I16x8, x: I16x8) -> I16x8 {
        I8x16::of(x).relaxed_dot(weights)
    }
    #[inline(always)]
    fn add(a: I16x8, b: I16x8) -> I16x8 {
        a.add(b)
    }
    #[inline(always)]
    fn flush(sum: I16x8) -> I32x4 {
        sum.dot(I16x8::splat(1))
    }
}

/// How the codes of a block are packed.
pub trait Codes {
    /// The activations that they are multiplied with.
    type Form: Form;
    /// Bytes of codes of a block, four rows.
    const BLOCK_BYTES: usize;
    /// Steps whose products a sum takes; a block's, or at most a half's.
    const FLUSH: usize;
    /// Whether sums take fewer than a block's steps.
    const IS_FLUSHED: bool = Self::FLUSH < Self::Form::STEPS;
    /// Calls `f` with each step's number and operand: four rows of one step, row in the 32-bit lane.
    fn each(block: &[u8], f: impl FnMut(usize, I16x8));
}

/// Codes of 4 bits and `PLANES` more, with activations of form `F`.
pub struct Nibbles<F, const PLANES: usize>(core::marker::PhantomData<F>);
/// Signed codes of 8 bits.
pub struct Bytes;
/// Codes of 4 bits that stand for [`IQ4_NL_VALUES`].
pub struct Lookup;

/// Repeats the body for the four vectors of a block with `J` a constant: shifts of the planes are
/// then constants too, which a loop does not promise.
macro_rules! for_each_vector {
    ($j:ident, $body:block) => {{
        {
            const $j: usize = 0;
            $body
        }
        {
            const $j: usize = 1;
            $body
        }
        {
            const $j: usize = 2;
            $body
        }
        {
            const $j: usize = 3;
            $body
        }
    }};
}

/// The planes' bits of vector `j`, low (0) or high (1) nibbles, moved to where the code wants them;
/// `odd` for the u16 lanes' upper bytes.
#[inline(always)]
fn plane_bits(block: &[u8], plane: usize, bit: usize, mask: I16x8) -> I16x8 {
    let bits = I16x8::load(block, 64 + 16 * plane);
    let target = 4 + plane;
    let moved = if bit >= target {
        bits.shr_u((bit - target) as u32)
    } else {
        bits.shl((target - bit) as u32)
    };
    moved.and(mask)
}

impl<const PLANES: usize> Codes for Nibbles<Wide, PLANES> {
    type Form = Wide;
    const BLOCK_BYTES: usize = 64 + 16 * PLANES;
    const FLUSH: usize = 16;
    #[inline(always)]
    fn each(block: &[u8], mut f: impl FnMut(usize, I16x8)) {
        for_each_vector!(J, {
            let v = I16x8::load(block, 16 * J);
            let low = I16x8::splat(15);
            let mut e = [v.and(low), v.shr_u(4).and(low), v.shr_u(8).and(low), v.shr_u(12)];
            for plane in 0..PLANES {
                for (i, e) in e.iter_mut().enumerate() {
                    let bit = 8 * (i / 2) + 2 * J + i % 2;
                    *e = e.or(plane_bits(block, plane, bit, I16x8::splat(16 << plane)));
                }
            }
            each_wide(J, e, &mut f);
        });
    }
}

impl<const PLANES: usize> Codes for Nibbles<Narrow, PLANES> {
    type Form = Narrow;
    const BLOCK_BYTES: usize = 64 + 16 * PLANES;
    const FLUSH: usize = 8 >> PLANES;
    #[inline(always)]
    fn each(block: &[u8], mut f: impl FnMut(usize, I16x8)) {
        let low = I16x8::splat(0x0f0f);
        for_each_vector!(J, {
            let v = I16x8::load(block, 16 * J);
            for (half, mut codes) in [v.and(low), v.shr_u(4).and(low)].into_iter().enumerate() {
                for plane in 0..PLANES {
                    let mask = I16x8::splat(0x1010 << plane);
                    codes = codes.or(plane_bits(block, plane, 2 * J + half, mask));
                }
                f(4 * half + J, codes);
            }
        });
    }
}

impl Codes for Bytes {
    type Form = Wide;
    const BLOCK_BYTES: usize = 128;
    const FLUSH: usize = 16;
    #[inline(always)]
    fn each(block: &[u8], mut f: impl FnMut(usize, I16x8)) {
        for j in 0..4 {
            let (a, b) = (I16x8::load(block, 16 * j), I16x8::load(block, 16 * j + 64));
            each_wide(j, [even(a), even(b), a.shr_s(8), b.shr_s(8)], &mut f);
        }
    }
}

impl Codes for Lookup {
    type Form = Wide;
    const BLOCK_BYTES: usize = 64;
    const FLUSH: usize = 16;
    #[inline(always)]
    fn each(block: &[u8], mut f: impl FnMut(usize, I16x8)) {
        for j in 0..4 {
            let v = I16x8::load(block, 16 * j);
            let low = I16x8::splat(0x0f0f);
            let a = v.and(low).lookup(&IQ4_NL_VALUES);
            let b = v.shr_u(4).and(low).lookup(&IQ4_NL_VALUES);
            each_wide(j, [even(a), even(b), a.shr_s(8), b.shr_s(8)], &mut f);
        }
    }
}

#[inline(always)]
fn even(v: I16x8) -> I16x8 {
    v.shl(8).shr_s(8)
}

/// Operands of vector `j`: the even columns of the halves, then the odd ones.
#[inline(always)]
fn each_wide(j: usize, [a, b, c, d]: [I16x8; 4], f: &mut impl FnMut(usize, I16x8)) {
    f(2 * j, a);
    f(8 + 2 * j, b);
    f(2 * j + 1, c);
    f(8 + 2 * j + 1, d);
}

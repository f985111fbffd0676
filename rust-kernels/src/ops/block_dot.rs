//! Integer dot products of a block of 32 columns, four rows, with quantised activations.
//!
//! Two forms of activation codes, both exact, so both give the same integers:
//!
//! | form   | codes      | group           | step                                                  |
//! |--------|------------|-----------------|-------------------------------------------------------|
//! | wide   | i16, 2 B   | 2 columns, 16   | `i32x4.dot_i16x8` with codes widened by shift and mask |
//! | narrow | i8, 1 B    | 4 columns, 8    | `i16x8.relaxed_dot_i8x16_i7x16` on codes as bytes      |
//!
//! Narrow needs codes of at most 127 and sums that fit i16 between flushes; with `FLUSH` steps of
//! at most `2 * (2^bits - 1) * 127` each they do: 15 -> 8, 31 -> 4, 63 -> 2. Relaxed SIMD leaves
//! nothing open then. Codes of 8 bits are wide in every build.
use crate::lanes::{I8x16, I16x8, I32x4};
use crate::quant::packed::{IQ4_NL_VALUES, Packing};

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

/// Bytes from one group of a tile to the next, per token.
pub const GROUP_BYTES: usize = 4;

/// Activation codes of the fast path of this build.
#[cfg(target_feature = "relaxed-simd")]
pub type Fast = Narrow;
/// Activation codes of the fast path of this build.
#[cfg(not(target_feature = "relaxed-simd"))]
pub type Fast = Wide;

/// i16 codes.
pub struct Wide;
/// i8 codes.
pub struct Narrow;

/// Whether weights packed so are multiplied with narrow codes in this build.
pub fn is_narrow(packing: Packing) -> bool {
    cfg!(target_feature = "relaxed-simd") && packing.code_bytes != 128 && !packing.is_lookup
}

/// One way to multiply blocks; `dots` gives per half (columns 0..16, 16..32) and token the four
/// rows' sums, all in the first half where `!HALVES`.
pub trait BlockDot {
    /// Bytes of codes of a block, four rows.
    const BLOCK_BYTES: usize;
    /// Bytes of activation codes of a block, one token.
    const CODE_BYTES: usize;
    /// Adds up a block; `codes` are the tile's groups, token innermost.
    fn dots<const TOKENS: usize, const HALVES: bool>(
        block: &[u8],
        codes: &[u8],
    ) -> [[I32x4; TOKENS]; 2];
}

/// Codes of 4 bits and `PLANES` more, with activations of form `F`.
pub struct Nibbles<F, const PLANES: usize>(core::marker::PhantomData<F>);
/// Signed codes of 8 bits.
pub struct Bytes;
/// Codes of 4 bits that stand for [`IQ4_NL_VALUES`].
pub struct Lookup;

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

impl<const PLANES: usize> BlockDot for Nibbles<Wide, PLANES> {
    const BLOCK_BYTES: usize = 64 + 16 * PLANES;
    const CODE_BYTES: usize = 64;
    #[inline(always)]
    fn dots<const TOKENS: usize, const HALVES: bool>(
        block: &[u8],
        codes: &[u8],
    ) -> [[I32x4; TOKENS]; 2] {
        wide_dots::<TOKENS, HALVES>(codes, |j| {
            let v = I16x8::load(block, 16 * j);
            let low = I16x8::splat(15);
            let mut e = [v.and(low), v.shr_u(4).and(low), v.shr_u(8).and(low), v.shr_u(12)];
            for plane in 0..PLANES {
                for (i, e) in e.iter_mut().enumerate() {
                    let bit = 8 * (i / 2) + 2 * j + i % 2;
                    *e = e.or(plane_bits(block, plane, bit, I16x8::splat(16 << plane)));
                }
            }
            e
        })
    }
}

impl<const PLANES: usize> BlockDot for Nibbles<Narrow, PLANES> {
    const BLOCK_BYTES: usize = 64 + 16 * PLANES;
    const CODE_BYTES: usize = 32;
    #[inline(always)]
    fn dots<const TOKENS: usize, const HALVES: bool>(
        block: &[u8],
        codes: &[u8],
    ) -> [[I32x4; TOKENS]; 2] {
        // Steps that a sum of i16 takes; a half gets one per vector, a whole block two.
        let flush = (8 >> PLANES) / if HALVES { 1 } else { 2 };
        let mut total = [[I32x4::splat(0); TOKENS]; 2];
        let mut sums = [[I16x8::splat(0); TOKENS]; 2];
        let (ones, low) = (I16x8::splat(1), I16x8::splat(0x0f0f));
        for_each_vector!(J, {
            let v = I16x8::load(block, 16 * J);
            let nibbles = [v.and(low), v.shr_u(4).and(low)];
            for (h, mut codes_h) in nibbles.into_iter().enumerate() {
                for plane in 0..PLANES {
                    let mask = I16x8::splat(0x1010 << plane);
                    codes_h = codes_h.or(plane_bits(block, plane, 2 * J + h, mask));
                }
                let half = if HALVES { h } else { 0 };
                for t in 0..TOKENS {
                    let x = I8x16::load_quad(codes, GROUP_BYTES * ((2 * J + h) * TOKENS + t));
                    sums[half][t] = sums[half][t].add(x.relaxed_dot(codes_h));
                }
            }
            if (J + 1) % flush == 0 {
                for half in 0..if HALVES { 2 } else { 1 } {
                    for t in 0..TOKENS {
                        total[half][t] = total[half][t].add(sums[half][t].dot(ones));
                        sums[half][t] = I16x8::splat(0);
                    }
                }
            }
        });
        total
    }
}

#[inline(always)]
fn even(v: I16x8) -> I16x8 {
    v.shl(8).shr_s(8)
}

impl BlockDot for Bytes {
    const BLOCK_BYTES: usize = 128;
    const CODE_BYTES: usize = 64;
    #[inline(always)]
    fn dots<const TOKENS: usize, const HALVES: bool>(
        block: &[u8],
        codes: &[u8],
    ) -> [[I32x4; TOKENS]; 2] {
        wide_dots::<TOKENS, HALVES>(codes, |j| {
            let (a, b) = (I16x8::load(block, 16 * j), I16x8::load(block, 16 * j + 64));
            [even(a), even(b), a.shr_s(8), b.shr_s(8)]
        })
    }
}

impl BlockDot for Lookup {
    const BLOCK_BYTES: usize = 64;
    const CODE_BYTES: usize = 64;
    #[inline(always)]
    fn dots<const TOKENS: usize, const HALVES: bool>(
        block: &[u8],
        codes: &[u8],
    ) -> [[I32x4; TOKENS]; 2] {
        wide_dots::<TOKENS, HALVES>(codes, |j| {
            let v = I16x8::load(block, 16 * j);
            let low = I16x8::splat(0x0f0f);
            let a = v.and(low).lookup(&IQ4_NL_VALUES);
            let b = v.shr_u(4).and(low).lookup(&IQ4_NL_VALUES);
            [even(a), even(b), a.shr_s(8), b.shr_s(8)]
        })
    }
}

/// `operands(j)`: columns (4j, 4j+2), (16+4j, 18+4j), (4j+1, 4j+3), (17+4j, 19+4j) of four rows.
#[inline(always)]
fn wide_dots<const TOKENS: usize, const HALVES: bool>(
    codes: &[u8],
    operands: impl Fn(usize) -> [I16x8; 4],
) -> [[I32x4; TOKENS]; 2] {
    let mut dots = [[I32x4::splat(0); TOKENS]; 2];
    // A loop, not `for_each_vector`: unrolled, a tile's operands spill out of the registers.
    for j in 0..4 {
        for (e, operand) in operands(j).into_iter().enumerate() {
            let half = if HALVES { e % 2 } else { 0 };
            for t in 0..TOKENS {
                let pair = I16x8::load_pair(codes, GROUP_BYTES * ((4 * j + e) * TOKENS + t));
                dots[half][t] = dots[half][t].add(operand.dot(pair));
            }
        }
    }
    dots
}

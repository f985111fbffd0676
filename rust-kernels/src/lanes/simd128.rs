//! Lanes as WebAssembly SIMD.
use core::arch::wasm32::*;

/// Four f32.
#[derive(Clone, Copy)]
pub struct F32x4(v128);

/// Four i32.
#[derive(Clone, Copy)]
pub struct I32x4(v128);

/// Eight i16.
#[derive(Clone, Copy)]
pub struct I16x8(v128);

/// 2^112: the exponent that a shifted f16 lacks as an f32.
const F16_SCALE: f32 = 5.192_296_858_534_828e33;

impl F32x4 {
    /// Four times `x`.
    #[inline(always)]
    pub fn splat(x: f32) -> Self {
        Self(f32x4_splat(x))
    }
    /// The four numbers given.
    #[inline(always)]
    pub fn new(x: [f32; 4]) -> Self {
        Self(f32x4(x[0], x[1], x[2], x[3]))
    }
    /// `s[at .. at + 4]`.
    #[inline(always)]
    pub fn load(s: &[f32], at: usize) -> Self {
        let s = &s[at..at + 4];
        // SAFETY: the slice above holds four elements; v128.load needs no alignment.
        Self(unsafe { v128_load(s.as_ptr().cast()) })
    }
    /// Four finite f16 at `s[at .. at + 4]`, exact.
    #[inline(always)]
    pub fn load_f16(s: &[u16], at: usize) -> Self {
        let s = &s[at..at + 4];
        // SAFETY: the slice above holds the eight bytes that are read.
        let h = unsafe { i32x4_load_extend_i16x4(s.as_ptr().cast()) };
        let bits = v128_and(i32x4_shl(h, 13), u32x4_splat(0x8fff_e000));
        Self(f32x4_mul(bits, f32x4_splat(F16_SCALE)))
    }
    /// Four finite f16 in the eight bytes at `s[at ..]`, exact.
    #[inline(always)]
    pub fn load_f16_bytes(s: &[u8], at: usize) -> Self {
        let s = &s[at..at + 8];
        // SAFETY: the slice above holds the eight bytes that are read.
        let h = unsafe { i32x4_load_extend_i16x4(s.as_ptr().cast()) };
        let bits = v128_and(i32x4_shl(h, 13), u32x4_splat(0x8fff_e000));
        Self(f32x4_mul(bits, f32x4_splat(F16_SCALE)))
    }
    /// Four f32 in the sixteen bytes at `s[at ..]`, little-endian.
    #[inline(always)]
    pub fn load_bytes(s: &[u8], at: usize) -> Self {
        let s = &s[at..at + 16];
        // SAFETY: the slice above holds sixteen bytes; v128.load needs no alignment.
        Self(unsafe { v128_load(s.as_ptr().cast()) })
    }
    /// Writes sixteen bytes at `s[at ..]`, little-endian.
    #[inline(always)]
    pub fn store_bytes(self, s: &mut [u8], at: usize) {
        let s = &mut s[at..at + 16];
        // SAFETY: the slice above holds sixteen bytes.
        unsafe { v128_store(s.as_mut_ptr().cast(), self.0) }
    }
    /// Each lane, four times.
    #[inline(always)]
    pub fn spread(self) -> [Self; 4] {
        spread(self.0).map(Self)
    }
    /// Writes `s[at .. at + 4]`.
    #[inline(always)]
    pub fn store(self, s: &mut [f32], at: usize) {
        let s = &mut s[at..at + 4];
        // SAFETY: the slice above holds four elements.
        unsafe { v128_store(s.as_mut_ptr().cast(), self.0) }
    }
    /// Sum, lane by lane.
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(f32x4_add(self.0, o.0))
    }
    /// Difference.
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(f32x4_sub(self.0, o.0))
    }
    /// Product.
    #[inline(always)]
    pub fn mul(self, o: Self) -> Self {
        Self(f32x4_mul(self.0, o.0))
    }
    /// Quotient.
    #[inline(always)]
    pub fn div(self, o: Self) -> Self {
        Self(f32x4_div(self.0, o.0))
    }
    /// `self < o ? o : self`.
    #[inline(always)]
    pub fn max(self, o: Self) -> Self {
        Self(f32x4_pmax(self.0, o.0))
    }
    /// `o < self ? o : self`.
    #[inline(always)]
    pub fn min(self, o: Self) -> Self {
        Self(f32x4_pmin(self.0, o.0))
    }
    /// Absolute value.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Self(f32x4_abs(self.0))
    }
    /// `self * b + c`, rounded twice.
    #[inline(always)]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        Self(f32x4_add(f32x4_mul(self.0, b.0), c.0))
    }
    /// Nearest integer, ties to even.
    #[inline(always)]
    pub fn round_even(self) -> Self {
        Self(f32x4_nearest(self.0))
    }
    /// (0 + 2) + (1 + 3).
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let h = f32x4_add(self.0, i32x4_shuffle::<2, 3, 0, 1>(self.0, self.0));
        f32x4_extract_lane::<0>(h) + f32x4_extract_lane::<1>(h)
    }
    /// Largest lane.
    #[inline(always)]
    pub fn max_lane(self) -> f32 {
        let h = f32x4_pmax(self.0, i32x4_shuffle::<2, 3, 0, 1>(self.0, self.0));
        let h = f32x4_pmax(h, i32x4_shuffle::<1, 0, 3, 2>(h, h));
        f32x4_extract_lane::<0>(h)
    }
    /// Truncated to integers, saturating.
    #[inline(always)]
    pub fn to_i32(self) -> I32x4 {
        I32x4(i32x4_trunc_sat_f32x4(self.0))
    }
    /// The bit patterns.
    #[inline(always)]
    pub fn bits(self) -> I32x4 {
        I32x4(self.0)
    }
    /// As an array.
    #[inline(always)]
    pub fn lanes(self) -> [f32; 4] {
        [
            f32x4_extract_lane::<0>(self.0),
            f32x4_extract_lane::<1>(self.0),
            f32x4_extract_lane::<2>(self.0),
            f32x4_extract_lane::<3>(self.0),
        ]
    }
    /// Rows become columns.
    #[inline(always)]
    pub fn transpose(r: [Self; 4]) -> [Self; 4] {
        let a = i32x4_shuffle::<0, 4, 1, 5>(r[0].0, r[1].0);
        let b = i32x4_shuffle::<2, 6, 3, 7>(r[0].0, r[1].0);
        let c = i32x4_shuffle::<0, 4, 1, 5>(r[2].0, r[3].0);
        let d = i32x4_shuffle::<2, 6, 3, 7>(r[2].0, r[3].0);
        [
            Self(i64x2_shuffle::<0, 2>(a, c)),
            Self(i64x2_shuffle::<1, 3>(a, c)),
            Self(i64x2_shuffle::<0, 2>(b, d)),
            Self(i64x2_shuffle::<1, 3>(b, d)),
        ]
    }
}

impl I32x4 {
    /// Four times `x`.
    #[inline(always)]
    pub fn splat(x: i32) -> Self {
        Self(i32x4_splat(x))
    }
    /// `s[at .. at + 4]`.
    #[inline(always)]
    pub fn load(s: &[i32], at: usize) -> Self {
        let s = &s[at..at + 4];
        // SAFETY: the slice above holds four elements; v128.load needs no alignment.
        Self(unsafe { v128_load(s.as_ptr().cast()) })
    }
    /// Wrapping sum.
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(i32x4_add(self.0, o.0))
    }
    /// Wrapping difference.
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(i32x4_sub(self.0, o.0))
    }
    /// Shift to the left.
    #[inline(always)]
    pub fn shl(self, n: u32) -> Self {
        Self(i32x4_shl(self.0, n))
    }
    /// Wrapping sum of the lanes.
    #[inline(always)]
    pub fn sum(self) -> i32 {
        self.lanes().iter().sum()
    }
    /// Rows become columns.
    #[inline(always)]
    pub fn transpose(r: [Self; 4]) -> [Self; 4] {
        F32x4::transpose(r.map(|row| F32x4(row.0))).map(|row| Self(row.0))
    }
    /// Nearest f32.
    #[inline(always)]
    pub fn to_f32(self) -> F32x4 {
        F32x4(f32x4_convert_i32x4(self.0))
    }
    /// The bit patterns as f32.
    #[inline(always)]
    pub fn as_f32_bits(self) -> F32x4 {
        F32x4(self.0)
    }
    /// As an array.
    #[inline(always)]
    pub fn lanes(self) -> [i32; 4] {
        [
            i32x4_extract_lane::<0>(self.0),
            i32x4_extract_lane::<1>(self.0),
            i32x4_extract_lane::<2>(self.0),
            i32x4_extract_lane::<3>(self.0),
        ]
    }
}

impl I16x8 {
    /// Eight times `x`.
    #[inline(always)]
    pub fn splat(x: i16) -> Self {
        Self(i16x8_splat(x))
    }
    /// Sixteen bytes at `s[at ..]` as little-endian i16.
    #[inline(always)]
    pub fn load(s: &[u8], at: usize) -> Self {
        let s = &s[at..at + 16];
        // SAFETY: the slice above holds sixteen bytes.
        Self(unsafe { v128_load(s.as_ptr().cast()) })
    }
    /// Eight bytes at `s[at ..]` as i8, widened.
    #[inline(always)]
    pub fn load_bytes(s: &[u8], at: usize) -> Self {
        let s = &s[at..at + 8];
        // SAFETY: the slice above holds the eight bytes that are read.
        Self(unsafe { i16x8_load_extend_i8x8(s.as_ptr().cast()) })
    }
    /// Sixteen bytes at `s[at ..]`, little-endian.
    #[inline(always)]
    pub fn store(self, s: &mut [u8], at: usize) {
        let s = &mut s[at..at + 16];
        // SAFETY: the slice above holds sixteen bytes.
        unsafe { v128_store(s.as_mut_ptr().cast(), self.0) }
    }
    /// Lanes of `a` and `b` in turn: the first four of each, then the last four.
    #[inline(always)]
    pub fn interleave(a: Self, b: Self) -> [Self; 2] {
        [
            Self(i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a.0, b.0)),
            Self(i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a.0, b.0)),
        ]
    }
    /// Pairs of lanes: rows become columns.
    #[inline(always)]
    pub fn transpose_pairs(r: [Self; 4]) -> [Self; 4] {
        F32x4::transpose(r.map(|row| F32x4(row.0))).map(|row| Self(row.0))
    }
    /// The little-endian pair of i16 in the four bytes at `s[at ..]`, four times.
    #[inline(always)]
    pub fn load_pair(s: &[u8], at: usize) -> Self {
        let s = &s[at..at + 4];
        // SAFETY: the slice above holds the four bytes that are read.
        Self(unsafe { v128_load32_splat(s.as_ptr().cast()) })
    }
    /// Each pair of lanes, four times.
    #[inline(always)]
    pub fn spread(self) -> [Self; 4] {
        spread(self.0).map(Self)
    }
    /// Wrapping sum.
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(i16x8_add(self.0, o.0))
    }
    /// Bitwise and.
    #[inline(always)]
    pub fn and(self, o: Self) -> Self {
        Self(v128_and(self.0, o.0))
    }
    /// Bitwise or.
    #[inline(always)]
    pub fn or(self, o: Self) -> Self {
        Self(v128_or(self.0, o.0))
    }
    /// Shift to the left.
    #[inline(always)]
    pub fn shl(self, n: u32) -> Self {
        Self(i16x8_shl(self.0, n))
    }
    /// Shift to the right, zeros in.
    #[inline(always)]
    pub fn shr_u(self, n: u32) -> Self {
        Self(u16x8_shr(self.0, n))
    }
    /// Shift to the right, sign in.
    #[inline(always)]
    pub fn shr_s(self, n: u32) -> Self {
        Self(i16x8_shr(self.0, n))
    }
    /// Products of neighbouring pairs, added: lane i = a[2i] b[2i] + a[2i+1] b[2i+1], exact.
    #[inline(always)]
    pub fn dot(self, o: Self) -> I32x4 {
        I32x4(i32x4_dot_i16x8(self.0, o.0))
    }
    /// Lanes that fit i16, those of `a` first.
    #[inline(always)]
    pub fn narrow(a: I32x4, b: I32x4) -> Self {
        Self(i16x8_narrow_i32x4(a.0, b.0))
    }
    /// Lanes 0, 2, 1, 3, 4, 6, 5, 7.
    #[inline(always)]
    pub fn swap_middle(self) -> Self {
        Self(i16x8_shuffle::<0, 2, 1, 3, 4, 6, 5, 7>(self.0, self.0))
    }
    /// Pairs of lanes as words, little-endian.
    #[inline(always)]
    pub fn words(self) -> [u32; 4] {
        words(self.0)
    }
    /// Looks each byte (0..16) of the vector up in `table`.
    #[inline(always)]
    pub fn lookup(self, table: &[i8; 16]) -> Self {
        // SAFETY: the table holds sixteen bytes.
        let table = unsafe { v128_load(table.as_ptr().cast()) };
        Self(i8x16_swizzle(table, self.0))
    }
}

/// Sixteen i8.
#[derive(Clone, Copy)]
pub struct I8x16(v128);

impl I8x16 {
    /// The bytes of `v`.
    #[inline(always)]
    pub fn of(v: I16x8) -> Self {
        Self(v.0)
    }
    /// Lanes that fit i8, those of `a` first.
    #[inline(always)]
    pub fn narrow(a: I16x8, b: I16x8) -> Self {
        Self(i8x16_narrow_i16x8(a.0, b.0))
    }
    /// Fours of lanes as words, little-endian.
    #[inline(always)]
    pub fn words(self) -> [u32; 4] {
        words(self.0)
    }
    /// Products with the bytes of `codes` (0..128), neighbours added: exact while sums fit i16.
    #[inline(always)]
    pub fn relaxed_dot(self, codes: I16x8) -> I16x8 {
        #[cfg(target_feature = "relaxed-simd")]
        return I16x8(i16x8_relaxed_dot_i8x16_i7x16(self.0, codes.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        {
            let low = i16x8_extmul_low_i8x16(self.0, codes.0);
            let high = i16x8_extmul_high_i8x16(self.0, codes.0);
            let sums = i32x4_dot_i16x8(low, i16x8_splat(1));
            I16x8(i16x8_narrow_i32x4(sums, i32x4_dot_i16x8(high, i16x8_splat(1))))
        }
    }
}

#[inline(always)]
fn spread(v: v128) -> [v128; 4] {
    [
        i32x4_shuffle::<0, 0, 0, 0>(v, v),
        i32x4_shuffle::<1, 1, 1, 1>(v, v),
        i32x4_shuffle::<2, 2, 2, 2>(v, v),
        i32x4_shuffle::<3, 3, 3, 3>(v, v),
    ]
}

#[inline(always)]
fn words(v: v128) -> [u32; 4] {
    [
        u32x4_extract_lane::<0>(v),
        u32x4_extract_lane::<1>(v),
        u32x4_extract_lane::<2>(v),
        u32x4_extract_lane::<3>(v),
    ]
}
